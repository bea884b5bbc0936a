"""What callers ask for: queue a message, stop those for an incident, send one again, look at them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import structlog

from tocsin.contracts.notifications import (
    Attempt,
    ChannelSummary,
    Notification,
    NotificationQueued,
    NotificationStatus,
    NotificationSummary,
    Notify,
    Voided,
    VoidNotifications,
)
from tocsin.kernel import request_id
from tocsin.kernel.db import Cursor, Database, Row, transaction
from tocsin.kernel.errors import ConflictError, InvalidRequestError
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.idempotency import IdempotentRequest, replay
from tocsin.kernel.ids import new_id
from tocsin.kernel.pagination import page_of
from tocsin.notifications import repository
from tocsin.notifications.metrics import NotificationMetrics

log = structlog.get_logger(__name__)
QUEUE: Final = Failpoint("notifications.queue")
VOID: Final = Failpoint("notifications.void")
REDELIVER: Final = Failpoint("notifications.redeliver")


async def notify(
    db: Database,
    metrics: NotificationMetrics,
    order: Notify,
    *,
    request: IdempotentRequest | None,
    now: datetime | None,
) -> NotificationQueued:
    """Queue a message. A repeat, by idempotency key or by its own id, changes nothing and gets the first's answer.

    Raise InvalidRequestError where the key or the id was used for another message.
    """
    notification_id = order.notification_id or new_id()
    async with QUEUE(), transaction(db) as cur:
        first = await replay(cur, request, notification_id)
        if first is not None:
            return await _first_answer(cur, first)
        await repository.lock_incident(cur, order.incident_id, exclusive=False)
        inserted = await repository.insert_notification(
            cur, notification_id, order, request_id=request_id.REQUEST_ID.get(), now=now
        )
        if inserted is None:
            return await _same_order(cur, notification_id, order)
    status = NotificationStatus(inserted["status"])
    if status is NotificationStatus.VOIDED:
        metrics.finished.labels(order.channel, status).inc()
    log.info("notification accepted", notification_id=str(notification_id), channel=order.channel, status=status)
    return NotificationQueued(notification_id=notification_id, status=status)


async def _first_answer(cur: Cursor, notification_id: UUID) -> NotificationQueued:
    _, status = await repository.get_order(cur, notification_id)
    return NotificationQueued(notification_id=notification_id, status=status)


async def _same_order(cur: Cursor, notification_id: UUID, order: Notify) -> NotificationQueued:
    first, status = await repository.get_order(cur, notification_id)
    if first != order.model_copy(update={"notification_id": None}):
        detail = "Another message has this id; take a new one."
        raise InvalidRequestError([{"pointer": "#/notification_id", "detail": detail}])
    return NotificationQueued(notification_id=notification_id, status=status)


async def void(
    db: Database, metrics: NotificationMetrics, command: VoidNotifications, *, now: datetime | None
) -> Voided:
    """Stop an incident's pages that have not gone out, and those that are still on their way to this service."""
    async with VOID(), transaction(db) as cur:
        await repository.lock_incident(cur, command.incident_id, exclusive=True)
        await repository.upsert_answered(cur, command.incident_id, reason=command.reason, now=now)
        channels = await repository.void_pages(cur, command.incident_id, reason=command.reason, now=now)
        voided = await repository.count_voided(cur, command.incident_id)
    for channel in channels:
        metrics.finished.labels(channel, NotificationStatus.VOIDED).inc()
    return Voided(voided=voided)


async def redeliver(
    db: Database, notification_id: UUID, *, request: IdempotentRequest | None, now: datetime | None
) -> NotificationQueued:
    """Send a dead letter, or a voided page, because a person wants it. Raise NotFoundError, ConflictError."""
    answer = NotificationQueued(notification_id=notification_id, status=NotificationStatus.QUEUED)
    async with REDELIVER(), transaction(db) as cur:
        if await replay(cur, request, notification_id) is not None:
            return answer
        if not await repository.requeue(cur, notification_id, now=now):
            row = await repository.get_notification(cur, notification_id)
            raise ConflictError(_why_not(row))
    return answer


def _why_not(row: Row) -> str:
    if row["status"] == NotificationStatus.SENT:
        return f"It was delivered at {row['finished_at']:%Y-%m-%dT%H:%M:%SZ}; send a new message instead."
    return "It is queued: it is on its way already."


async def get(db: Database, notification_id: UUID) -> Notification:
    """Return one message and its attempts. Raise NotFoundError."""
    async with transaction(db) as cur:
        row = await repository.get_notification(cur, notification_id)
        attempts = await repository.list_attempts(cur, [notification_id])
    return _with_attempts([row], attempts)[0]


async def summarise(db: Database, *, since: datetime | None) -> NotificationSummary:
    """Return what became of the messages of a window, of the newest 10,000 where there were more."""
    async with transaction(db) as cur:
        rows = await repository.summarise(cur, since=since)
    [total] = [row for row in rows if row["channel"] is None]
    return NotificationSummary(
        by_channel=[ChannelSummary.model_validate(row) for row in rows if row is not total],
        median_seconds=total["median_seconds"],
        cut_at=total["oldest"] if total["messages"] >= repository.COUNTED else None,
    )


async def list_page(db: Database, filters: Mapping[str, Any], *, limit: int) -> tuple[list[Notification], str | None]:
    """Return a page of messages with their attempts, newest first, and the next page's cursor."""
    async with transaction(db) as cur:
        found = await repository.list_notifications(cur, filters)
        rows, cursor = page_of(found, limit, lambda row: row)
        attempts = await repository.list_attempts(cur, [row["id"] for row in rows])
    return _with_attempts(rows, attempts), cursor


def _with_attempts(rows: Sequence[Row], attempts: Sequence[Row]) -> list[Notification]:
    by_message: dict[UUID, list[Attempt]] = {row["id"]: [] for row in rows}
    for attempt in attempts:
        by_message[attempt["notification_id"]].append(Attempt.model_validate(attempt))
    return [Notification.model_validate({**row, "attempts": by_message[row["id"]]}) for row in rows]
