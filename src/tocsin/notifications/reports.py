"""What others are told of a delivery: the incident's timeline, and on-call when a page will never arrive."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

import structlog
from pydantic import BaseModel

from tocsin.clients.incidents import IncidentsClient
from tocsin.clients.oncall import OnCallClient
from tocsin.contracts.incidents import AppendTimelineEntry, EventType
from tocsin.contracts.notifications import NotificationKind, NotificationStatus
from tocsin.contracts.oncall import Channel, DeliveryFailed
from tocsin.kernel.db import Cursor
from tocsin.kernel.errors import RejectedError
from tocsin.kernel.outbox import Handler, Outbox, OutboxMessage
from tocsin.notifications.domain import LeasedMessage, Outcome, Verdict, one_line

log = structlog.get_logger(__name__)
ACTOR: Final = "notification-service"
TIMELINE: Final = "timeline"
DELIVERY_FAILED: Final = "delivery_failed"
NOT_FOUND: Final = 404
MAX_DETAIL: Final = 1_000
WORDS: Final = {Channel.MOCK: "Console", Channel.WEBHOOK: "Webhook", Channel.EMAIL: "E-mail"}


class TimelineReport(BaseModel):
    """An outbox row: one entry for one incident's timeline."""

    incident_id: UUID
    entry: AppendTimelineEntry


class FailureReport(BaseModel):
    """An outbox row: on-call pages the next level instead."""

    incident_id: UUID
    failure: DeliveryFailed


async def enqueue(cur: Cursor, outbox: Outbox, message: LeasedMessage, outcome: Outcome, verdict: Verdict) -> None:
    """Queue what must be told now that *message* is finished, in the transaction that finishes it."""
    delivered = verdict.status is NotificationStatus.SENT
    event = EventType.DELIVERED if delivered else EventType.DELIVERY_FAILED
    ending = "delivered." if delivered else f"not delivered: {verdict.reason}"
    entry = AppendTimelineEntry(
        event_key=f"{message.id}:{event}",
        event_type=event,
        actor=ACTOR,
        detail=one_line(f"{WORDS[message.channel]} to {message.addressee()} {ending}", MAX_DETAIL),
        data={
            "notification_id": str(message.id),
            "channel": message.channel,
            "recipient": message.recipient,
            "person": message.page.person if message.page is not None else None,
            "attempts": message.attempts,
            "code": outcome.code,
        },
    )
    report = TimelineReport(incident_id=message.incident_id, entry=entry)
    await outbox.enqueue(cur, kind=TIMELINE, key=str(message.incident_id), payload=report)
    if not delivered and message.kind is NotificationKind.PAGE:
        failure = DeliveryFailed(notification_id=message.id, detail=verdict.reason or "")
        lost = FailureReport(incident_id=message.incident_id, failure=failure)
        await outbox.enqueue(cur, kind=DELIVERY_FAILED, key=str(message.id), payload=lost)


def handlers(incidents: IncidentsClient, oncall: OnCallClient) -> Mapping[str, Handler]:
    """Return who delivers which outbox row. Where the incident is unknown there, there is nobody to tell."""

    async def timeline(row: OutboxMessage) -> None:
        report = TimelineReport.model_validate(row.payload)
        try:
            await incidents.append_timeline(report.incident_id, report.entry, idempotency_key=str(row.message_id))
        except RejectedError as exc:
            _unless_unknown(exc, report.incident_id)

    async def delivery_failed(row: OutboxMessage) -> None:
        report = FailureReport.model_validate(row.payload)
        try:
            await oncall.delivery_failed(report.incident_id, report.failure, idempotency_key=str(row.message_id))
        except RejectedError as exc:
            _unless_unknown(exc, report.incident_id)

    return {TIMELINE: timeline, DELIVERY_FAILED: delivery_failed}


def _unless_unknown(exc: RejectedError, incident_id: UUID) -> None:
    if exc.status != NOT_FOUND:
        raise exc
    log.info("nobody to tell: the incident is unknown", incident_id=str(incident_id))
