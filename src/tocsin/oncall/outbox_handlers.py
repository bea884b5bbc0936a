"""Outbox deliveries: pages and cancellations to notification-service, timeline entries to incident-management."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

import structlog
from aiohttp import web

from tocsin.clients.incidents import INCIDENTS
from tocsin.clients.notifications import NOTIFICATIONS
from tocsin.contracts.escalations import DeliveryFailed
from tocsin.contracts.notifications import Notify
from tocsin.kernel.errors import RejectedError
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.outbox import Handler, OutboxMessage
from tocsin.oncall.metrics import METRICS
from tocsin.oncall.service import DEPS
from tocsin.oncall.service.next_step import record_delivery_failure

log = structlog.get_logger(__name__)
PAGE: Final = Failpoint("oncall.page")
TIMELINE: Final = Failpoint("oncall.timeline")
CANCEL: Final = Failpoint("oncall.cancel")


def outbox_handlers(app: web.Application) -> Mapping[str, Handler]:
    """Return the handler for each kind of outbox row."""

    async def page(message: OutboxMessage) -> None:
        command = Notify.model_validate_json(message.body)
        try:
            async with PAGE():
                await app[NOTIFICATIONS].notify(message.body, idempotency_key=str(message.message_id))
        except RejectedError as exc:
            refusal = str(exc)
        else:
            app[METRICS].notifications.labels(command.channel).inc()
            return
        # A parked row would wait for an operator; recorded as a failed delivery, it makes the next level be paged.
        log.error(
            "page rejected by notification-service",
            notification_id=message.key,
            channel=command.channel,
            reason=refusal,
        )
        failure = DeliveryFailed(notification_id=message.message_id, detail=refusal)
        await record_delivery_failure(app[DEPS], command.incident_id, failure, request=None)

    async def timeline(message: OutboxMessage) -> None:
        incident_id = UUID(message.key)
        async with TIMELINE():
            await app[INCIDENTS].append_timeline(incident_id, message.body, idempotency_key=str(message.message_id))

    async def cancel_pages(message: OutboxMessage) -> None:
        async with CANCEL():
            await app[NOTIFICATIONS].cancel_pages(message.body, idempotency_key=str(message.message_id))

    return {"page": page, "timeline": timeline, "cancel_pages": cancel_pages}
