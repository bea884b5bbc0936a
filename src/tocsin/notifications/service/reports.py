"""Reports of finished messages: to the incident's timeline, and to on-call if a page could not be delivered."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from tocsin.channels.message import Outcome
from tocsin.contracts.escalations import DeliveryFailed
from tocsin.contracts.notifications import NotificationKind, NotificationStatus
from tocsin.kernel.db import Cursor
from tocsin.kernel.ids import new_id
from tocsin.kernel.outbox import Outbox
from tocsin.notifications.domain.decision import Decision
from tocsin.notifications.domain.leased_message import LeasedMessage
from tocsin.notifications.domain.report import timeline_entry

TIMELINE: Final = "timeline"
DELIVERY_FAILED: Final = "delivery_failed"


async def enqueue_reports(
    cur: Cursor,
    outbox: Outbox,
    finished: Sequence[tuple[LeasedMessage, Decision]],
    outcome: Outcome,
    *,
    digest_id: UUID | None,
) -> None:
    """Enqueue the reports of *finished* messages in the transaction that finishes them."""
    entries = [
        (new_id(), str(message.incident_id), timeline_entry(message, outcome, decision, digest_id=digest_id))
        for message, decision in finished
    ]
    await outbox.enqueue_many(cur, kind=TIMELINE, rows=entries)
    failures = [
        (
            new_id(),
            f"{message.incident_id}/{message.id}",
            DeliveryFailed(notification_id=message.id, detail=decision.reason or ""),
        )
        for message, decision in finished
        if decision.status is not NotificationStatus.SENT and message.kind is NotificationKind.PAGE
    ]
    if failures:
        await outbox.enqueue_many(cur, kind=DELIVERY_FAILED, rows=failures)
