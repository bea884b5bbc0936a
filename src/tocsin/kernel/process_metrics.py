"""Metrics of the process, its event loop, and the database, disk and clock that it depends on."""

import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Self

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from tocsin.kernel import build_info, clock
from tocsin.kernel.db import DB, Database, Row, autocommit, fetch_one, required
from tocsin.kernel.line_writer import STANDARD_ERROR, STANDARD_OUTPUT
from tocsin.kernel.service_settings import ServiceSettings
from tocsin.kernel.shared_time import SHARED_TIME, SharedTime
from tocsin.kernel.tasks import cancel, create_task
from tocsin.kernel.workers import Context, worker

log = structlog.get_logger(__name__)
LAG_BUCKETS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
LAG_EVERY_SECONDS: Final = 0.25
MEASURE_EVERY_SECONDS: Final = 10.0
ROUND_TRIP_SECONDS: Final = 0.5
"""If the query for the database's time takes longer, its result is too inaccurate and is not used."""
JUMP_SECONDS: Final = 1.0
"""A change of this size against the monotonic clock, between two measurements, is a jump of the database's clock."""


def watch_process(app: web.Application, registry: CollectorRegistry) -> None:
    """Export metrics of this process, its interpreter and the lag of its event loop."""
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    registry.register(_LogCollector())
    build = Gauge("tocsin_build_info", "The version of this build; always 1.", ["version"], registry=registry)
    build.labels(build_info.VERSION).set(1)
    lag = Histogram(
        "tocsin_event_loop_lag_seconds",
        "Delay of the event loop's timers; a blocked loop delays every request.",
        buckets=LAG_BUCKETS,
        registry=registry,
    )

    async def measure() -> None:
        while True:
            due = clock.monotonic() + LAG_EVERY_SECONDS
            await clock.sleep(LAG_EVERY_SECONDS)
            lag.observe(max(0.0, clock.monotonic() - due))

    async def context(_app: web.Application) -> AsyncIterator[None]:
        task = create_task(measure(), name="event-loop-lag")
        yield
        await cancel(task)

    app.cleanup_ctx.append(context)


class _LogCollector(Collector):
    """Reads at each scrape how many lines could not be written."""

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(
            "tocsin_log_lines_dropped",
            "Lines that were dropped because standard output or standard error could not be written in time.",
            value=STANDARD_OUTPUT.dropped + STANDARD_ERROR.dropped,
        )


@dataclass(frozen=True, slots=True)
class DatabaseMetrics:
    """Metrics of the database, its disk and its clock."""

    connections: Gauge
    connections_limit: Gauge
    size: Gauge
    disk_free: Gauge
    disk_size: Gauge
    skew: Gauge
    jumps: Counter

    @classmethod
    def register(cls, registry: CollectorRegistry, db: Database) -> Self:
        """Declare the metrics on *registry*; the pool's are read at each scrape."""
        in_use = Gauge(
            "tocsin_database_pool_in_use_connections",
            "Connections of this process in use.",
            registry=registry,
        )
        in_use.set_function(lambda: db.in_use)
        Gauge(
            "tocsin_database_pool_limit_connections",
            "Maximum connections of this process, without the one for LISTEN.",
            registry=registry,
        ).set(db.size)
        return cls(
            Gauge("tocsin_database_connections", "Connections of all clients to the server.", registry=registry),
            Gauge(
                "tocsin_database_limit_connections",
                "Connections that the server allows to ordinary roles.",
                registry=registry,
            ),
            Gauge("tocsin_database_size_bytes", "Size of the database on disk.", registry=registry),
            Gauge("tocsin_disk_free_bytes", "Free space of the file system of DISK_PATH.", registry=registry),
            Gauge("tocsin_disk_size_bytes", "Size of the file system of DISK_PATH.", registry=registry),
            Gauge(
                "tocsin_clock_skew_seconds",
                "How far this process's clock is ahead of the database's.",
                registry=registry,
            ),
            Counter(
                "tocsin_database_clock_jumps_total",
                "Jumps of the database's clock by over a second, against the monotonic clock.",
                registry=registry,
            ),
        )


class DatabaseMonitor:
    """Measures the database, its disk and its clock."""

    def __init__(
        self, db: Database, metrics: DatabaseMetrics, settings: ServiceSettings, shared_time: SharedTime
    ) -> None:
        self._db = db
        self._metrics = metrics
        self._shared_time = shared_time
        self._disk_path = settings.disk_path
        self._offset: float | None = None
        """The database's clock minus our monotonic one at the last measurement."""

    async def measure(self, _app: web.Application) -> bool:
        """Measure once; the disk first, because a full disk can stop the database."""
        disk = shutil.disk_usage(self._disk_path)
        self._metrics.disk_free.set(disk.free)
        self._metrics.disk_size.set(disk.total)
        async with autocommit(self._db) as cur:
            began, began_at = clock.monotonic(), clock.now()
            row = required(
                await fetch_one(
                    cur,
                    """
                    SELECT clock_timestamp() AS at,
                           pg_database_size(current_database()) AS bytes,
                           (SELECT sum(numbackends)::int FROM pg_stat_database) AS connections,
                           current_setting('max_connections')::int
                               - current_setting('superuser_reserved_connections')::int
                               - current_setting('reserved_connections')::int AS limit_connections
                    """,
                )
            )
            took = clock.monotonic() - began
        self._metrics.size.set(row["bytes"])
        self._metrics.connections.set(row["connections"])
        self._metrics.connections_limit.set(row["limit_connections"])
        if took <= ROUND_TRIP_SECONDS:
            skew = began_at + timedelta(seconds=took / 2) - row["at"]
            self._metrics.skew.set(skew.total_seconds())
            self._shared_time.correct(skew)
            self._compare_clocks(row, began + took / 2)
        return False

    def _compare_clocks(self, row: Row, monotonic: float) -> None:
        offset = row["at"].timestamp() - monotonic
        if self._offset is not None and abs(offset - self._offset) > JUMP_SECONDS:
            self._metrics.jumps.inc()
            log.warning("the database's clock jumped", seconds=round(offset - self._offset, 3))
        self._offset = offset


def watch_database(app: web.Application, registry: CollectorRegistry, settings: ServiceSettings) -> Context:
    """Return the cleanup context that measures `app[DB]`, its disk and its clock every ten seconds."""
    metrics = DatabaseMetrics.register(registry, app[DB])
    monitor = DatabaseMonitor(app[DB], metrics, settings, app[SHARED_TIME])
    return worker("database_monitor", monitor.measure, interval=MEASURE_EVERY_SECONDS)
