"""Checks that distinguish a quiet system from a broken one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from tocsin.contracts.alerts import Alert
from tocsin.contracts.model import Page
from tocsin.contracts.notifications import Notification, NotificationStatus
from tocsin.contracts.oncall import OnCall
from tocsin.integrations import label_of
from tocsin.web.ui import format as fmt

DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One check; if it is not *ok*, someone has to act."""

    ok: bool
    title: str
    detail: str
    at: datetime | None = None
    action: tuple[str, str] | None = None
    """The label and the address of the next step."""


def health_checks(
    at: datetime,
    *,
    alerts: Page[Alert] | None,
    messages: Page[Notification] | None,
    failed: Page[Notification] | None,
    teams: Sequence[OnCall] | None,
    more_teams: bool,
    all_respond: bool,
) -> list[HealthCheck]:
    """Return the checks of the services' responses; None is not checked."""
    found = [_alerts_check(alerts), _paging_check(at, messages, failed), _on_call_check(teams, more=more_teams)]
    checks = [check for check in found if check is not None]
    if all_respond:
        checks.append(
            HealthCheck(ok=True, title="All services respond", detail="Each responded when this view was loaded")
        )
    return checks


def _alerts_check(page: Page[Alert] | None) -> HealthCheck | None:
    if page is None:
        return None
    if not page.items:
        detail = "Point a sender here, or send one by hand"
        action = ("Connect a sender", "/handbook/api.md#alerts")
        return HealthCheck(ok=False, title="No alert received yet", detail=detail, action=action)
    last = page.items[0]
    detail = f"Last one from {last.source or label_of(last.integration)}"
    return HealthCheck(ok=True, title="Alerts are received", detail=detail, at=last.created_at)


def _paging_check(
    at: datetime, messages: Page[Notification] | None, failed: Page[Notification] | None
) -> HealthCheck | None:
    if messages is None or failed is None:
        return None
    undelivered = [message for message in failed.items if message.created_at >= at - DAY]
    if undelivered:
        more = "More than " if failed.next_cursor and len(undelivered) == len(failed.items) else ""
        return HealthCheck(
            ok=False,
            title=f"{more}{fmt.count(len(undelivered), 'message')} could not be delivered in the last 24 hours",
            detail=f"{undelivered[0].reason or 'No reason is known'}; the last was queued",
            at=undelivered[0].created_at,
            action=("Show what failed", "/notifications?status=failed"),
        )
    if not messages.items:
        detail = "Paging is untested until the first page is sent"
        action = ("Open an incident to try it", "/incidents/new")
        return HealthCheck(ok=False, title="No page has been sent yet", detail=detail, action=action)
    delivered = [message.finished_at for message in messages.items if message.status is NotificationStatus.SENT]
    if not delivered:
        detail = f"{fmt.count(len(messages.items), 'message is', 'messages are')} queued or cancelled"
        action = ("Show the messages", "/notifications")
        return HealthCheck(ok=False, title="No message was delivered lately", detail=detail, action=action)
    detail = "No message failed in the last 24 hours; the last one was delivered"
    return HealthCheck(ok=True, title="Paging works", detail=detail, at=delivered[0])


def _on_call_check(teams: Sequence[OnCall] | None, *, more: bool) -> HealthCheck | None:
    if teams is None:
        return None
    if not teams:
        action = ("Create the first team", "/oncall/new")
        detail = "Pages go to the catch-all contact"
        return HealthCheck(ok=False, title="No team has a schedule", detail=detail, action=action)
    without = [team.team for team in teams if team.primary is None]
    if without:
        title = f"Nobody is primary for {fmt.listed(without)}"
        action = ("Show the schedules", "/oncall")
        return HealthCheck(ok=False, title=title, detail="Pages go to the next level", action=action)
    title = "Someone is on call in every team"
    detail = f"The first {len(teams)} teams were checked" if more else fmt.count(len(teams), "team")
    return HealthCheck(ok=True, title=title if not more else "Someone is on call in each team checked", detail=detail)
