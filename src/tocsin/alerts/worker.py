"""The background loops of alert-ingestion."""

from typing import Final

from aiohttp import web

from tocsin.alerts.service import DEPS
from tocsin.alerts.service.overdue import forward_overdue, measure_unforwarded, new_pace
from tocsin.alerts.service.retention import maintain_partitions
from tocsin.kernel.workers import Context, Retries, worker

MEASURE_POLLS: Final = 5
"""The backlog is measured once per this many polls."""


def workers(app: web.Application) -> list[Context]:
    """Return the cleanup contexts of the background loops.

    They stop in reverse: pending requests are stored, then forwarded, and only then the parser's thread ends.
    """
    deps, retries = app[DEPS], Retries()
    pace = new_pace(deps.settings)
    poll = deps.settings.poll_seconds

    async def forward(_app: web.Application) -> bool | float:
        return await forward_overdue(deps, pace, retries)

    return [
        deps.parser.context,
        deps.forwarder.context,
        deps.batch_writer.context,
        worker("forward_overdue_alerts", forward, interval=poll),
        worker("measure_unforwarded_alerts", measure, interval=MEASURE_POLLS * poll),
        worker("alert_retention", maintain, interval=deps.settings.retention_check_seconds),
    ]


async def measure(app: web.Application) -> bool:
    """Set the gauges of the backlog; one round of the worker."""
    await measure_unforwarded(app[DEPS])
    return False


async def maintain(app: web.Application) -> bool:
    """Add and drop partitions; one round of the worker."""
    await maintain_partitions(app[DEPS])
    return False
