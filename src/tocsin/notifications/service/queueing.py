"""Queue a message, or a finished one again."""

from typing import Final
from uuid import UUID

import structlog

from tocsin.contracts.audit import AuditAction
from tocsin.contracts.notifications import NotificationQueued, NotificationStatus, Notify
from tocsin.kernel import audit, request_id
from tocsin.kernel.audit_entry import Subject
from tocsin.kernel.db import Cursor, Row, transaction
from tocsin.kernel.errors import ConflictError, InvalidRequestError
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.idempotency import replay
from tocsin.kernel.idempotent_request import IdempotentRequest
from tocsin.kernel.ids import new_id
from tocsin.notifications.repository import cancellations, notifications
from tocsin.notifications.service import Deps

log = structlog.get_logger(__name__)
QUEUE: Final = Failpoint("notifications.queue")
REDELIVER: Final = Failpoint("notifications.redeliver")


async def notify(deps: Deps, command: Notify, *, request: IdempotentRequest | None) -> NotificationQueued:
    """Queue a message. A retry, by idempotency key or `notification_id`, is a no-op with the same response.

    Raise InvalidRequestError if the key or the id was used for another message.
    """
    queued = await _queue(deps, command, request)
    deps.queue.notify()
    return queued


async def _queue(deps: Deps, command: Notify, request: IdempotentRequest | None) -> NotificationQueued:
    notification_id = command.notification_id or new_id()
    async with QUEUE(), transaction(deps.db) as cur:
        first = await replay(cur, request, notification_id)
        if first is not None:
            return await _first_response(cur, first)
        await cancellations.lock_incident(cur, command.incident_id, exclusive=False)
        inserted = await notifications.insert_notification(
            cur, notification_id, command, request_id=request_id.REQUEST_ID.get()
        )
        if inserted is None:
            return await _same_command(cur, notification_id, command)
        to = {"channel": command.channel, "recipient": command.recipient, "incident_id": str(command.incident_id)}
        subject = Subject("message", notification_id, f"{command.channel} message")
        await audit.record(cur, AuditAction.MESSAGE_SEND, subject, after=to)
    status = NotificationStatus(inserted["status"])
    if status is NotificationStatus.CANCELLED:
        deps.metrics.finished.labels(command.channel, status).inc()
    log.info("notification accepted", notification_id=str(notification_id), channel=command.channel, status=status)
    return NotificationQueued(notification_id=notification_id, status=status)


async def _first_response(cur: Cursor, notification_id: UUID) -> NotificationQueued:
    _, status = await notifications.get_command(cur, notification_id)
    return NotificationQueued(notification_id=notification_id, status=status)


async def _same_command(cur: Cursor, notification_id: UUID, command: Notify) -> NotificationQueued:
    first, status = await notifications.get_command(cur, notification_id)
    if first != command.model_copy(update={"notification_id": None}):
        detail = "Another message has this id; use a new one."
        raise InvalidRequestError([{"pointer": "#/notification_id", "detail": detail}])
    return NotificationQueued(notification_id=notification_id, status=status)


async def redeliver(deps: Deps, notification_id: UUID, *, request: IdempotentRequest | None) -> NotificationQueued:
    """Queue a failed or cancelled message again. Raise NotFoundError, ConflictError."""
    async with REDELIVER(), transaction(deps.db) as cur:
        first = await replay(cur, request, notification_id)
        if first is None:
            row = await notifications.get_notification(cur, notification_id)
            if not await notifications.requeue(cur, notification_id):
                raise ConflictError(_conflict_detail(await notifications.get_notification(cur, notification_id)))
            subject = Subject("message", notification_id, f"{row['channel']} message")
            change = {"before": {"status": row["status"]}, "after": {"status": NotificationStatus.QUEUED}}
            await audit.record(cur, AuditAction.MESSAGE_REDELIVER, subject, **change)
    deps.queue.notify()
    return NotificationQueued(notification_id=notification_id, status=NotificationStatus.QUEUED)


def _conflict_detail(row: Row) -> str:
    if row["status"] == NotificationStatus.SENT:
        return f"It was delivered at {row['finished_at']:%Y-%m-%dT%H:%M:%SZ}; send a new message instead."
    return "It is queued already."
