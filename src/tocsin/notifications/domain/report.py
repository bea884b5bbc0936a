"""The timeline entry of a finished message."""

from typing import Final
from uuid import UUID

from tocsin.channels import CHANNELS
from tocsin.channels.message import Outcome, one_line
from tocsin.contracts.incidents import AppendTimelineEntry, EventType
from tocsin.contracts.notifications import NotificationStatus
from tocsin.contracts.services import NOTIFICATION_SERVICE
from tocsin.notifications.domain.decision import Decision
from tocsin.notifications.domain.leased_message import LeasedMessage

MAX_DETAIL: Final = 1_000


def timeline_entry(
    message: LeasedMessage, outcome: Outcome, decision: Decision, *, digest_id: UUID | None
) -> AppendTimelineEntry:
    """Return the timeline entry of a delivered or failed *message*; *digest_id* is set if a digest replaced it."""
    delivered = decision.status is NotificationStatus.SENT
    event = EventType.DELIVERED if delivered else EventType.DELIVERY_FAILED
    together = "" if digest_id is None else " in a digest of late pages"
    ending = f"delivered{together}." if delivered else f"not delivered: {decision.reason}"
    return AppendTimelineEntry(
        event_key=f"{message.id}:{event}",
        event_type=event,
        actor=NOTIFICATION_SERVICE,
        detail=one_line(f"{CHANNELS.label(message.channel)} to {message.addressee()} {ending}", MAX_DETAIL),
        data={
            "notification_id": str(message.id),
            "channel": message.channel,
            "recipient": message.recipient,
            "person": message.page.person if message.page is not None else None,
            "attempts": message.attempts,
            "code": outcome.code,
            **({} if digest_id is None else {"digest_id": str(digest_id)}),
        },
    )
