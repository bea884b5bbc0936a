"""What alert-ingestion does for its callers."""

from typing import Final
from uuid import UUID

from aiohttp import web

from tocsin.alerts.intake import Intake
from tocsin.alerts.metrics import AlertMetrics
from tocsin.alerts.parser import Parser
from tocsin.alerts.repository import reading
from tocsin.alerts.repository.reading import AlertQuery, SummaryQuery
from tocsin.alerts.repository.storing import RequestRow
from tocsin.contracts.alerts import Alert, AlertAction, AlertDetail, AlertStatus, AlertSummary, RawRequest
from tocsin.contracts.model import Page
from tocsin.integrations.integration import IngestResult, Integration
from tocsin.kernel import clock
from tocsin.kernel.db import Database, Row, autocommit
from tocsin.kernel.ids import new_id
from tocsin.kernel.pagination import page_of
from tocsin.kernel.tracing import TRACING

INTAKE: Final = web.AppKey("INTAKE", Intake)
MAX_CONTENT_TYPE: Final = 256


async def ingest(
    parser: Parser,
    intake: Intake,
    metrics: AlertMetrics,
    *,
    integration: Integration,
    body: bytes,
    content_type: str,
    key: str | None,
) -> list[IngestResult]:
    """Store a sender's request durably and have its alerts correlated; return what became of each, in their order.

    Raise MalformedRequestError, InvalidRequestError, TooLargeError, and UnavailableError where nothing could be stored.
    """
    started = clock.monotonic()
    alerts = await parser.parse(integration, body)
    if not alerts:
        return []
    # A header may hold any byte; what is not UTF-8 arrives as lone surrogates, which no database takes.
    readable = content_type[:MAX_CONTENT_TYPE].encode("utf-8", "replace").decode()
    receipts = await intake.submit(
        RequestRow(new_id(), key, integration.name, readable, body, TRACING.context()), alerts
    )
    seconds = clock.monotonic() - started
    for _ in receipts:
        metrics.processing.observe(seconds)
    return receipts


async def list_alerts(db: Database, query: AlertQuery) -> Page[Alert]:
    """Return a page of alerts, newest first."""
    async with autocommit(db) as cur:
        rows = await reading.list_alerts(cur, query)
    items, cursor = page_of(rows, query.limit, _alert)
    return Page[Alert](items=items, next_cursor=cursor)


async def summarise(db: Database, query: SummaryQuery) -> AlertSummary:
    """Return what became of the alerts of a window, of the newest 10,000 where there were more."""
    async with autocommit(db) as cur:
        rows = await reading.summarise(cur, query)
    [total] = [row for row in rows if row["action"] is None]
    return AlertSummary(
        alerts=total["alerts"],
        incidents=total["incidents"],
        reports=total["reports"],
        by_action={AlertAction(row["action"]): row["alerts"] for row in rows if row["action"] is not None},
        cut_at=total["oldest"] if total["alerts"] >= reading.COUNTED else None,
    )


async def get_alert(db: Database, alert_id: UUID) -> AlertDetail:
    """Return an alert with the request that brought its newest report. Raise NotFoundError."""
    async with autocommit(db) as cur:
        alert, request = await reading.get_alert(cur, alert_id)
    return AlertDetail.model_validate({**_with_status(alert), "request": _request(request)})


def _alert(row: Row) -> Alert:
    return Alert.model_validate(_with_status(row))


def _with_status(row: Row) -> Row:
    return {**row, "status": AlertStatus.FIRING if row["resolved_at"] is None else AlertStatus.RESOLVED}


def _request(row: Row) -> RawRequest:
    return RawRequest.model_validate({**row, "body": bytes(row["body"]).decode("utf-8", "replace")})
