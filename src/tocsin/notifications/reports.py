"""What others are told of a delivery: the incident's timeline, and on-call when a page will never arrive."""

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

import structlog

from tocsin.channels import CHANNELS
from tocsin.channels.message import Outcome, one_line
from tocsin.clients.incidents import IncidentsClient
from tocsin.clients.oncall import OnCallClient
from tocsin.contracts.escalations import DeliveryFailed
from tocsin.contracts.incidents import AppendTimelineEntry, EventType
from tocsin.contracts.notifications import NotificationKind, NotificationStatus
from tocsin.kernel.db import Cursor
from tocsin.kernel.errors import RejectedError
from tocsin.kernel.ids import new_id
from tocsin.kernel.outbox import Handler, Outbox, OutboxMessage
from tocsin.notifications.domain import LeasedMessage, Verdict

log = structlog.get_logger(__name__)
ACTOR: Final = "notification-service"
TIMELINE: Final = "timeline"
DELIVERY_FAILED: Final = "delivery_failed"
NOT_FOUND: Final = 404
MAX_DETAIL: Final = 1_000


async def enqueue(
    cur: Cursor,
    outbox: Outbox,
    finished: Sequence[tuple[LeasedMessage, Verdict]],
    outcome: Outcome,
    *,
    digest_id: UUID | None,
) -> None:
    """Queue what must be told now that messages are finished, in the transaction that finishes them."""
    entries = [
        (new_id(), str(message.incident_id), _entry(message, outcome, verdict, digest_id))
        for message, verdict in finished
    ]
    await outbox.enqueue_many(cur, kind=TIMELINE, rows=entries)
    lost = [
        (
            new_id(),
            f"{message.incident_id}/{message.id}",
            DeliveryFailed(notification_id=message.id, detail=verdict.reason or ""),
        )
        for message, verdict in finished
        if verdict.status is not NotificationStatus.SENT and message.kind is NotificationKind.PAGE
    ]
    if lost:
        await outbox.enqueue_many(cur, kind=DELIVERY_FAILED, rows=lost)


def _entry(message: LeasedMessage, outcome: Outcome, verdict: Verdict, digest_id: UUID | None) -> AppendTimelineEntry:
    delivered = verdict.status is NotificationStatus.SENT
    event = EventType.DELIVERED if delivered else EventType.DELIVERY_FAILED
    together = "" if digest_id is None else " with others that waited"
    ending = f"delivered{together}." if delivered else f"not delivered: {verdict.reason}"
    return AppendTimelineEntry(
        event_key=f"{message.id}:{event}",
        event_type=event,
        actor=ACTOR,
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


def handlers(incidents: IncidentsClient, oncall: OnCallClient) -> Mapping[str, Handler]:
    """Return who delivers which outbox row. Where the incident is unknown there, there is nobody to tell."""

    async def timeline(row: OutboxMessage) -> None:
        incident_id = UUID(row.key)
        try:
            await incidents.append_timeline(incident_id, row.body, idempotency_key=str(row.message_id))
        except RejectedError as exc:
            _unless_unknown(exc, incident_id)

    async def delivery_failed(row: OutboxMessage) -> None:
        incident_id = UUID(row.key.partition("/")[0])
        try:
            await oncall.delivery_failed(incident_id, row.body, idempotency_key=str(row.message_id))
        except RejectedError as exc:
            _unless_unknown(exc, incident_id)

    return {TIMELINE: timeline, DELIVERY_FAILED: delivery_failed}


def _unless_unknown(exc: RejectedError, incident_id: UUID) -> None:
    if exc.status != NOT_FOUND:
        raise exc
    log.info("nobody to tell: the incident is unknown", incident_id=str(incident_id))
