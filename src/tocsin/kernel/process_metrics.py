"""How a process is, how late its event loop is, and how the database, the disk and the clock below it are."""

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Self

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector

from tocsin.kernel import build_info, clock
from tocsin.kernel.db import DB, Database, Row, autocommit, fetch_one, required
from tocsin.kernel.settings import ServiceSettings
from tocsin.kernel.tasks import cancel, create_task
from tocsin.kernel.workers import Context, worker

log = structlog.get_logger(__name__)
LAG_BUCKETS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
LAG_EVERY_SECONDS: Final = 0.25
MEASURE_EVERY_SECONDS: Final = 10.0
ROUND_TRIP_SECONDS: Final = 0.5
"""A database that takes longer than this to say its time leaves too much room for guesses: that answer is not used."""
JUMP_SECONDS: Final = 1.0
"""By how much the database's clock may move against ours between two measurements before it counts as a jump."""


def watch_process(app: web.Application, registry: CollectorRegistry) -> None:
    """Export what the kernel and the interpreter know of this process, and how late its event loop is."""
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    build = Gauge("tocsin_build_info", "Which build this is; always 1.", ["version"], registry=registry)
    build.labels(build_info.VERSION).set(1)
    lag = Histogram(
        "tocsin_event_loop_lag_seconds",
        "By how much a timer of the event loop was late: what blocks it blocks everybody.",
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


@dataclass(frozen=True, slots=True)
class DatabaseMetrics:
    """The database as this process sees it, and the disk and the clock that decide with it."""

    connections: Gauge
    connections_limit: Gauge
    size: Gauge
    disk_free: Gauge
    disk_size: Gauge
    skew: Gauge
    jumps: Counter

    @classmethod
    def register(cls, registry: CollectorRegistry, db: Database) -> Self:
        """Declare the metrics on *registry*; those of the pool are read when they are asked for."""
        in_use = Gauge(
            "tocsin_database_pool_in_use_connections",
            "Connections of this process that are at work.",
            registry=registry,
        )
        in_use.set_function(lambda: db.in_use)
        Gauge(
            "tocsin_database_pool_limit_connections",
            "Connections that this process opens at most, beside one that listens.",
            registry=registry,
        ).set(db.size)
        return cls(
            Gauge("tocsin_database_connections", "Connections of everybody to the server.", registry=registry),
            Gauge(
                "tocsin_database_limit_connections",
                "Connections that the server allows to those who are not superusers.",
                registry=registry,
            ),
            Gauge("tocsin_database_size_bytes", "What the database takes on its disk.", registry=registry),
            Gauge("tocsin_disk_free_bytes", "Free on the file system of DISK_PATH.", registry=registry),
            Gauge("tocsin_disk_size_bytes", "Size of the file system of DISK_PATH.", registry=registry),
            Gauge(
                "tocsin_clock_skew_seconds",
                "By how much this process's clock is ahead of the database's.",
                registry=registry,
            ),
            Counter(
                "tocsin_database_clock_jumps_total",
                "Times that the database's clock moved by more than a second against one that never jumps.",
                registry=registry,
            ),
        )


class Vitals:
    """Measures the database, its disk and its clock."""

    def __init__(self, db: Database, metrics: DatabaseMetrics, settings: ServiceSettings) -> None:
        self._db = db
        self._metrics = metrics
        self._disk_path = settings.disk_path
        self._offset: float | None = None
        """The database's clock less our monotonic one, when last measured."""

    async def measure(self, _app: web.Application) -> bool:
        """Measure everything once; the disk first, since a full one takes the database along."""
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
            self._metrics.skew.set((began_at + timedelta(seconds=took / 2) - row["at"]).total_seconds())
            self._compare_clocks(row, began + took / 2)
        return False

    def _compare_clocks(self, row: Row, monotonic: float) -> None:
        offset = row["at"].timestamp() - monotonic
        if self._offset is not None and abs(offset - self._offset) > JUMP_SECONDS:
            self._metrics.jumps.inc()
            log.warning("the database's clock jumped", seconds=round(offset - self._offset, 3))
        self._offset = offset


def watch_database(app: web.Application, registry: CollectorRegistry, settings: ServiceSettings) -> Context:
    """Return the cleanup context that measures `app[DB]` and what is below it, every ten seconds."""
    vitals = Vitals(app[DB], DatabaseMetrics.register(registry, app[DB]), settings)
    return worker("vitals", vitals.measure, interval=MEASURE_EVERY_SECONDS)
