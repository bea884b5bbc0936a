"""Cancel an incident's pages."""

from typing import Final

from tocsin.contracts.notifications import CancelPages, NotificationStatus, PagesCancelled
from tocsin.kernel.db import transaction
from tocsin.kernel.failpoints import Failpoint
from tocsin.notifications.repository import cancellations
from tocsin.notifications.service import Deps

CANCEL: Final = Failpoint("notifications.cancel")


async def cancel_pages(deps: Deps, command: CancelPages) -> PagesCancelled:
    """Cancel an incident's unfinished pages, and those that arrive later but were decided before."""
    async with CANCEL(), transaction(deps.db) as cur:
        await cancellations.lock_incident(cur, command.incident_id, exclusive=True)
        await cancellations.record_cancellation(cur, command)
        channels = await cancellations.cancel_pages(cur, command)
        cancelled = await cancellations.count_cancelled(cur, command.incident_id)
    for channel in channels:
        deps.metrics.finished.labels(channel, NotificationStatus.CANCELLED).inc()
    return PagesCancelled(voided=cancelled)
