"""What others are told of a delivery: the incident's timeline, and on-call when a page will never arrive."""

from collections.abc import Mapping, Sequence
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
from tocsin.kernel.ids import new_id
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


async def enqueue(
    cur: Cursor,
    outbox: Outbox,
    finished: Sequence[tuple[LeasedMessage, Verdict]],
    outcome: Outcome,
    *,
    digest_id: UUID | None,
) -> None:
    """Queue what must be told now that messages are finished, in the transaction that finishes them."""
    reports = [_report(message, outcome, verdict, digest_id) for message, verdict in finished]
    await outbox.enqueue_many(
        cur, kind=TIMELINE, rows=[(new_id(), str(report.incident_id), report) for report in reports]
    )
    lost: list[tuple[UUID, str, BaseModel]] = [
        (new_id(), str(message.id), _failure(message, verdict))
        for message, verdict in finished
        if verdict.status is not NotificationStatus.SENT and message.kind is NotificationKind.PAGE
    ]
    if lost:
        await outbox.enqueue_many(cur, kind=DELIVERY_FAILED, rows=lost)


def _failure(message: LeasedMessage, verdict: Verdict) -> FailureReport:
    failure = DeliveryFailed(notification_id=message.id, detail=verdict.reason or "")
    return FailureReport(incident_id=message.incident_id, failure=failure)


def _report(message: LeasedMessage, outcome: Outcome, verdict: Verdict, digest_id: UUID | None) -> TimelineReport:
    delivered = verdict.status is NotificationStatus.SENT
    event = EventType.DELIVERED if delivered else EventType.DELIVERY_FAILED
    together = "" if digest_id is None else " with others that waited"
    ending = f"delivered{together}." if delivered else f"not delivered: {verdict.reason}"
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
            **({} if digest_id is None else {"digest_id": str(digest_id)}),
        },
    )
    return TimelineReport(incident_id=message.incident_id, entry=entry)


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
