"""Export gauges that are counted in the database, so that every replica reports the same values."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Final

from prometheus_client import Gauge

from tocsin.incidents.metrics import GROUP
from tocsin.incidents.repository import gauges
from tocsin.incidents.service import Deps
from tocsin.kernel.db import Row, autocommit, transaction

MAX_SERVICES: Final = 20


async def export_gauges(deps: Deps) -> None:
    """Count unresolved incidents and those of the last day, and set the gauges."""
    async with transaction(deps.db) as cur:
        by_severity = await gauges.count_unresolved_by_severity(cur)
        by_service = await gauges.count_unresolved_by_service(cur, limit=MAX_SERVICES)
        last_day = await gauges.count_last_day(cur, limit=MAX_SERVICES)
    metrics = deps.metrics
    for severity, number in by_severity.items():
        metrics.unresolved_by_severity.labels(severity).set(number)
    _replace(metrics.unresolved_by_service, by_service, "incidents")
    for field in fields(metrics.last_day):
        _replace(getattr(metrics.last_day, field.name), last_day, field.name)


async def export_number_of_incidents(deps: Deps) -> None:
    """Set `incidents_total`."""
    async with autocommit(deps.db) as cur:
        by_status = await gauges.count_by_status(cur)
    for status, number in by_status.items():
        deps.metrics.incidents.labels(status).set(number)


def _replace(gauge: Gauge, rows: Sequence[Row], column: str) -> None:
    gauge.clear()
    for row in rows:
        gauge.labels(*(row[name] for name in GROUP)).set(row[column])
