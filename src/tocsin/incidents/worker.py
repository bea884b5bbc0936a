"""The background loops of incident management."""

from aiohttp import web

from tocsin.incidents.service import DEPS, escalations, gauges, retention, rollup
from tocsin.incidents.service.stream import HUB
from tocsin.incidents.settings import SETTINGS
from tocsin.kernel.idempotency import delete_expired_keys
from tocsin.kernel.outbox import OUTBOX
from tocsin.kernel.workers import Context, worker


def workers(app: web.Application) -> list[Context]:
    """Return the cleanup context of every background loop."""
    settings = app[SETTINGS]
    return [
        app[DEPS].notify_channel.context,
        app[OUTBOX].context,
        worker("incident_gauges", export_gauges, interval=settings.gauge_seconds),
        worker("incident_reconciler", reconcile, interval=settings.reconcile_seconds),
        worker("incident_rollup", roll_up, interval=settings.rollup_seconds),
        worker("alert_retention", maintain, interval=settings.retention_check_seconds),
        worker("incident_stream", app[HUB].tick, interval=settings.stream_poll_seconds, wakeup=app[HUB].wakeup),
        delete_expired_keys(),
    ]


async def export_number_of_incidents(app: web.Application) -> None:
    """Set `incidents_total`, at each scrape."""
    await gauges.export_number_of_incidents(app[DEPS])


async def export_gauges(app: web.Application) -> bool:
    """Export the gauges that are counted in the database."""
    await gauges.export_gauges(app[DEPS])
    return False


async def reconcile(app: web.Application) -> bool:
    """Start the escalations that are missing, and resume those that are stopped although nobody has acknowledged."""
    if await escalations.reconcile(app[DEPS], older_than=app[SETTINGS].reconcile_seconds):
        return True
    return await escalations.withdraw_unfounded(app[DEPS]) > 0


async def roll_up(app: web.Application) -> bool:
    """Refresh stale figures over days and weeks."""
    return await rollup.roll_up(app[DEPS].db, limit=app[SETTINGS].rollup_batch_size)


async def maintain(app: web.Application) -> bool:
    """Add and drop partitions."""
    await retention.maintain_partitions(app[DEPS])
    return False
