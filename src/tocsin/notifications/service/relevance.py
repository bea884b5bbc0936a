"""Cancel pages whose incident has been acknowledged, just before they are sent."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import structlog

from tocsin.contracts.incidents import IncidentStates
from tocsin.contracts.notifications import NotificationKind, NotificationStatus
from tocsin.kernel.db import transaction
from tocsin.kernel.errors import RejectedError, UnavailableError
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.http_client import Budget
from tocsin.kernel.ids import new_id
from tocsin.notifications.domain.decision import is_wanted
from tocsin.notifications.domain.leased_message import LeasedMessage
from tocsin.notifications.repository import queue
from tocsin.notifications.service import Deps

log = structlog.get_logger(__name__)
TRIES: Final = 3
"""Within ASK_STATE_SECONDS, so that one broken connection does not page a person who has just acknowledged."""
MAX_INCIDENTS: Final = 1_000
"""The maximum of incidents in one request."""
STATES: Final = Failpoint("notifications.states")


async def cancel_unwanted(deps: Deps, messages: Sequence[LeasedMessage]) -> set[UUID]:
    """Cancel the pages in *messages* that are no longer wanted, and return the ids of the other messages.

    A page is wanted if the state of its incident is unknown.
    """
    pages = [message for message in messages if message.kind is NotificationKind.PAGE]
    incidents = await _states(deps, pages)
    unwanted = [page for page in pages if not is_wanted(page, incidents)]
    if unwanted:
        reasons = [f"the incident is {incidents.states[page.incident_id]}" for page in unwanted]
        async with transaction(deps.db) as cur:
            await queue.cancel_leased(cur, unwanted, reasons=reasons)
        for page in unwanted:
            deps.metrics.finished.labels(page.channel, NotificationStatus.CANCELLED).inc()
    return {message.id for message in messages} - {page.id for page in unwanted}


async def _states(deps: Deps, pages: Sequence[LeasedMessage]) -> IncidentStates:
    seconds = deps.settings.ask_state_seconds
    budget = Budget(attempts=TRIES, seconds=seconds, attempt_seconds=seconds)
    incident_ids = list(dict.fromkeys(page.incident_id for page in pages))
    known = IncidentStates(states={})
    for start in range(0, len(incident_ids), MAX_INCIDENTS):
        part = incident_ids[start : start + MAX_INCIDENTS]
        try:
            async with STATES():
                found = await deps.incidents.states(part, idempotency_key=str(new_id()), budget=budget)
        except (UnavailableError, RejectedError) as exc:
            deps.metrics.state_requests.labels("unanswered").inc()
            unchecked = [str(page.id) for page in pages if page.incident_id in set(incident_ids[start:])]
            log.warning("pages are sent unchecked", notification_ids=unchecked, reason=str(exc))
            break
        deps.metrics.state_requests.labels("answered").inc()
        known = IncidentStates(
            states={**known.states, **found.states}, answered_at={**known.answered_at, **found.answered_at}
        )
    return known
