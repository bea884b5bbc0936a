"""What runs in the background: due steps, deliveries to the neighbours, gauges."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

import structlog
from aiohttp import web

from tocsin.clients.incidents import INCIDENTS
from tocsin.clients.notifications import NOTIFICATIONS
from tocsin.contracts.notifications import Notify
from tocsin.contracts.oncall import DeliveryFailed
from tocsin.kernel.db import DB, Cursor
from tocsin.kernel.errors import RejectedError
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.outbox import AfterDelivery, Handler, OutboxMessage
from tocsin.oncall.metrics import METRICS
from tocsin.oncall.service import overview, schedules
from tocsin.oncall.service.escalations import PAGER
from tocsin.oncall.settings import SETTINGS

log = structlog.get_logger(__name__)
PAGE: Final = Failpoint("oncall.page")
TIMELINE: Final = Failpoint("oncall.timeline")
VOID: Final = Failpoint("oncall.void")


async def step_due(app: web.Application) -> bool | float:
    """Take the steps that are due."""
    return await app[PAGER].step_due()


async def roll_up(app: web.Application) -> bool:
    """Add up what has changed for the figures over days."""
    return await overview.roll_up(app[DB], limit=app[SETTINGS].rollup_batch_size)


async def refresh_gauges(app: web.Application) -> bool:
    """Read the gauges from the database: every replica says the same, and a restart changes nothing."""
    metrics = app[METRICS]
    measured = await app[PAGER].measure()
    people = await schedules.everybody_on_call(app[DB])
    metrics.overdue.set(measured["overdue"])
    metrics.without_next_action.set(measured["without_next_action"])
    metrics.oldest_due.set(measured["oldest_seconds"])
    metrics.current.clear()
    for team, person in people.items():
        metrics.escalations.labels(team)
        metrics.current.labels(team, person).set(1)
    return False


def handlers(app: web.Application) -> Mapping[str, Handler]:
    """Return what delivers the outbox."""

    async def page(message: OutboxMessage) -> AfterDelivery | None:
        order = Notify.model_validate_json(message.body)
        try:
            async with PAGE():
                await app[NOTIFICATIONS].notify(message.body, idempotency_key=str(message.message_id))
        except RejectedError as exc:
            refusal = str(exc)
        else:
            return count_page(order.channel)
        # Parked it would wait for ever; as a failed delivery it brings the next level.
        log.error("page refused", notification_id=message.key, channel=order.channel, reason=refusal)
        failure = DeliveryFailed(notification_id=message.message_id, detail=refusal)
        await app[PAGER].delivery_failed(order.incident_id, failure, request=None)
        return None

    def count_page(channel: str) -> AfterDelivery:
        async def count(_cur: Cursor) -> None:
            app[METRICS].notifications.labels(channel).inc()

        return count

    async def timeline(message: OutboxMessage) -> None:
        async with TIMELINE():
            await app[INCIDENTS].append_timeline(
                UUID(message.key), message.body, idempotency_key=str(message.message_id)
            )

    async def void_notifications(message: OutboxMessage) -> None:
        async with VOID():
            await app[NOTIFICATIONS].void(message.body, idempotency_key=str(message.message_id))

    return {"page": page, "timeline": timeline, "void_notifications": void_notifications}
