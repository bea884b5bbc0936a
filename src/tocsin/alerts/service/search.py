"""Read alerts: lists, single alerts and summaries."""

from typing import Final
from uuid import UUID

from tocsin.alerts.queries import AlertQuery, SummaryQuery
from tocsin.alerts.repository import queries
from tocsin.alerts.service import Deps
from tocsin.contracts.alerts import Alert, AlertAction, AlertDetail, AlertStatus, AlertSummary, RawRequest
from tocsin.contracts.model import Page
from tocsin.kernel.db import Row, autocommit
from tocsin.kernel.errors import NotFoundError
from tocsin.kernel.pagination import page_of
from tocsin.kernel.principal import Principal, Scope

WITHHELD: Final = "Only responders and admins see raw requests, which may contain secrets of the sender."


async def list_alerts(deps: Deps, query: AlertQuery) -> Page[Alert]:
    """Return a page of alerts, newest first."""
    async with autocommit(deps.db) as cur:
        rows = await queries.list_alerts(cur, query)
    items, cursor = page_of(rows, query.limit, _alert)
    return Page[Alert](items=items, next_cursor=cursor)


async def summarise(deps: Deps, query: SummaryQuery) -> AlertSummary:
    """Return the outcome of the alerts of a window, or of the newest 10,000 if there are more."""
    async with autocommit(deps.db) as cur:
        rows = await queries.summarise(cur, query)
    [total] = [row for row in rows if row["action"] is None]
    return AlertSummary(
        alerts=total["alerts"],
        incidents=total["incidents"],
        reports=total["reports"],
        by_action={AlertAction(row["action"]): row["alerts"] for row in rows if row["action"] is not None},
        cut_at=total["oldest"] if total["alerts"] >= queries.SUMMARY_LIMIT else None,
    )


async def get_alert(deps: Deps, alert_id: UUID, by: Principal) -> AlertDetail:
    """Return an alert, with the request of its newest report if *by* may see it. Raise NotFoundError."""
    async with autocommit(deps.db) as cur:
        found = await queries.find_alert(cur, alert_id)
    if found is None:
        msg = f"There is no alert {alert_id}."
        if days := deps.settings.alert_retention_days:
            msg += f" Alerts are kept for {days} days."
        raise NotFoundError(msg)
    alert, request = found
    if Scope.RESPOND not in by.scopes:
        return AlertDetail.model_validate({**_wire(alert), "request": None, "request_withheld": WITHHELD})
    return AlertDetail.model_validate({**_wire(alert), "request": request and _request(request)})


def _alert(row: Row) -> Alert:
    return Alert.model_validate(_wire(row))


def _wire(row: Row) -> Row:
    status = AlertStatus.FIRING if row["resolved_at"] is None else AlertStatus.RESOLVED
    return {**row, "status": status}


def _request(row: Row) -> RawRequest:
    return RawRequest.model_validate({**row, "body": bytes(row["body"]).decode("utf-8", "replace")})
