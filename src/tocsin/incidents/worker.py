"""What incident management does by itself, beside the outbox."""

from collections.abc import Sequence
from dataclasses import fields

from aiohttp import web
from prometheus_client import Gauge

from tocsin.clients.oncall import ONCALL
from tocsin.incidents.metrics import GROUP, METRICS
from tocsin.incidents.repository import stats
from tocsin.incidents.service import DESK, escalations, overview
from tocsin.incidents.service.stream import HUB
from tocsin.incidents.settings import SETTINGS
from tocsin.kernel.db import DB, Row, transaction
from tocsin.kernel.workers import Context, worker

SERVICES_SHOWN = 20


def workers(app: web.Application) -> list[Context]:
    """Return the cleanup contexts of the background loops."""
    settings = app[SETTINGS]
    return [
        worker("incident_gauges", count, interval=settings.gauge_seconds),
        worker("incident_reconciler", reconcile, interval=settings.reconcile_seconds),
        worker("incident_rollup", roll_up, interval=settings.rollup_seconds),
        worker("incident_stream", app[HUB].tick, interval=settings.stream_poll_seconds, wakeup=app[HUB].wakeup),
    ]


async def count(app: web.Application) -> bool:
    """Read from the database how many incidents there are, so that every replica says the same."""
    async with transaction(app[DB]) as cur:
        by_status = await stats.count_by_status(cur)
        by_severity = await stats.count_unresolved_by_severity(cur)
        by_service = await stats.count_unresolved_by_service(cur, limit=SERVICES_SHOWN)
        of_last_day = await stats.count_last_day(cur, limit=SERVICES_SHOWN, now=None)
    metrics = app[METRICS]
    for status, number in by_status.items():
        metrics.incidents.labels(status).set(number)
    for severity, number in by_severity.items():
        metrics.unresolved_by_severity.labels(severity).set(number)
    _replace(metrics.unresolved_by_service, by_service, "incidents")
    for field in fields(metrics.last_day):
        _replace(getattr(metrics.last_day, field.name), of_last_day, field.name)
    return False


def _replace(gauge: Gauge, rows: Sequence[Row], column: str) -> None:
    gauge.clear()
    for row in rows:
        gauge.labels(*(row[name] for name in GROUP)).set(row[column])


async def reconcile(app: web.Application) -> bool:
    """Put right what nobody is paged for."""
    return await escalations.reconcile(app[DESK], app[ONCALL], older_than=app[SETTINGS].reconcile_seconds)


async def roll_up(app: web.Application) -> bool:
    """Add up what has changed for the figures over days and weeks."""
    return await overview.roll_up(app[DB], limit=app[SETTINGS].rollup_batch_size)
