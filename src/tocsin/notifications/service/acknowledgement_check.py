"""The check before pages are sent: those of acknowledged incidents are cancelled."""

from collections.abc import Sequence
from typing import Final

import structlog

from tocsin.contracts.incidents import IncidentStates
from tocsin.contracts.notifications import NotificationKind, NotificationStatus
from tocsin.kernel.db import autocommit
from tocsin.kernel.errors import RejectedError, UnavailableError
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.http_client import Budget
from tocsin.kernel.ids import new_id
from tocsin.notifications.domain.decision import is_needed
from tocsin.notifications.domain.leased_message import LeasedMessage
from tocsin.notifications.repository import queue
from tocsin.notifications.service import Deps

log = structlog.get_logger(__name__)
TRIES: Final = 3
"""Attempts within INCIDENT_STATE_TIMEOUT_SECONDS: with a single one, a broken connection would send a page for an
incident that was just acknowledged."""
MAX_INCIDENTS: Final = 1_000
"""The maximum number of incidents in one request."""
STATES: Final = Failpoint("notifications.states")


async def find_acknowledged(deps: Deps, messages: Sequence[LeasedMessage]) -> list[tuple[LeasedMessage, str]]:
    """Return the pages in *messages* whose incident is not open any more, each with the reason to cancel it.

    While incident-management does not return the states, every incident counts as open.
    """
    pages = [message for message in messages if message.kind is NotificationKind.PAGE]
    incidents = await _states(deps, pages)
    return [
        (page, f"the incident is {incidents.states[page.incident_id]}")
        for page in pages
        if not is_needed(page, incidents)
    ]


async def cancel_pages(deps: Deps, cancelled: Sequence[tuple[LeasedMessage, str]]) -> None:
    """Cancel leased pages, each with its reason. Raise UnavailableError if their lease ends first."""

    async def write() -> None:
        async with autocommit(deps.db) as cur:
            await queue.cancel_leased(cur, [page for page, _ in cancelled], reasons=[reason for _, reason in cancelled])

    await deps.recorder.record(write, expires=min(page.expires for page, _ in cancelled))
    for page, _ in cancelled:
        deps.metrics.finished.labels(page.channel, NotificationStatus.CANCELLED).inc()


async def _states(deps: Deps, pages: Sequence[LeasedMessage]) -> IncidentStates:
    seconds = deps.settings.incident_state_timeout_seconds
    budget = Budget(attempts=TRIES, seconds=seconds, attempt_seconds=seconds)
    incident_ids = list(dict.fromkeys(page.incident_id for page in pages))
    known = IncidentStates(states={})
    for start in range(0, len(incident_ids), MAX_INCIDENTS):
        part = incident_ids[start : start + MAX_INCIDENTS]
        try:
            async with STATES():
                found = await deps.incidents.states(part, idempotency_key=str(new_id()), budget=budget)
        except (UnavailableError, RejectedError) as exc:
            deps.metrics.state_requests.labels("error").inc()
            unchecked = [str(page.id) for page in pages if page.incident_id in set(incident_ids[start:])]
            log.warning(
                "incident states unknown: pages are sent unchecked", notification_ids=unchecked, reason=str(exc)
            )
            break
        deps.metrics.state_requests.labels("ok").inc()
        known = IncidentStates(
            states={**known.states, **found.states}, answered_at={**known.answered_at, **found.answered_at}
        )
    return known
