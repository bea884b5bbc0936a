"""What a process says of itself, and of the database, the disk and the clock below it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.pytest_plugin import AiohttpClient
from prometheus_client import CollectorRegistry

from tests.kernel.conftest import EdgeClient, OpenDatabase
from tests.support.kernel.quick_settings import quick_settings
from tests.support.postgres import run
from tests.support.waiting import eventually
from tocsin.kernel import build_info, clock
from tocsin.kernel.app import REGISTRY, base_app, with_database
from tocsin.kernel.db import Database, autocommit, execute, transaction
from tocsin.kernel.process_metrics import DatabaseMetrics, DatabaseMonitor
from tocsin.kernel.shared_time import SharedTime


@asynccontextmanager
async def running(app: web.Application) -> AsyncIterator[CollectorRegistry]:
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        yield app[REGISTRY]
    finally:
        await runner.cleanup()


@pytest.fixture
async def things_registry(things_dsn: str) -> AsyncIterator[CollectorRegistry]:
    """What a running service with a database exports."""
    settings = quick_settings(things_dsn)
    app = base_app(settings, service="things")
    with_database(app, settings, schema="things")
    async with running(app) as registry:
        yield registry


@pytest.fixture
def monitor(things: Database, registry: CollectorRegistry, things_dsn: str) -> DatabaseMonitor:
    return DatabaseMonitor(things, DatabaseMetrics.register(registry, things), quick_settings(things_dsn), SharedTime())


async def test_every_process_exports_its_memory_time_files_and_version(edge: EdgeClient) -> None:
    async with edge.get("/metrics") as response:
        text = await response.text()
    for name in ("process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds", "python_info"):
        assert f"\n{name}" in text
    assert "\ntocsin_log_lines_dropped_total " in text
    assert f'tocsin_build_info{{version="{build_info.VERSION}"}} 1.0' in text


async def test_a_blocked_event_loop_is_measured(
    aiohttp_client: AiohttpClient, things_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = (await aiohttp_client(base_app(quick_settings(things_dsn), service="things"))).app[REGISTRY]

    def late() -> float:
        quick = registry.get_sample_value("tocsin_event_loop_lag_seconds_bucket", {"le": "1.0"}) or 0
        return (registry.get_sample_value("tocsin_event_loop_lag_seconds_count") or 0) - quick

    await eventually(lambda: registry.get_sample_value("tocsin_event_loop_lag_seconds_count"))
    before, real = late(), clock.monotonic
    monkeypatch.setattr(clock, "monotonic", lambda: real() + 1.5)  # as after a step of the loop that took so long
    await eventually(lambda: late() > before)


async def test_the_database_its_disk_and_its_connections_are_measured_at_once(
    things_registry: CollectorRegistry, things_dsn: str
) -> None:
    await eventually(lambda: things_registry.get_sample_value("tocsin_database_size_bytes"))
    ((size, limit),) = (
        row.values()
        for row in run(
            things_dsn,
            "SELECT pg_database_size(current_database()), current_setting('max_connections')::int"
            " - current_setting('superuser_reserved_connections')::int AS most",
        )
    )
    assert things_registry.get_sample_value("tocsin_database_size_bytes") == pytest.approx(size, rel=0.2)
    assert things_registry.get_sample_value("tocsin_database_limit_connections") == limit
    assert 1 <= (things_registry.get_sample_value("tocsin_database_connections") or 0) <= limit
    free = things_registry.get_sample_value("tocsin_disk_free_bytes") or 0
    assert 0 < free < (things_registry.get_sample_value("tocsin_disk_size_bytes") or 0)


async def test_the_pool_reports_how_many_of_its_connections_are_in_use(
    things: Database, registry: CollectorRegistry
) -> None:
    DatabaseMetrics.register(registry, things)
    assert registry.get_sample_value("tocsin_database_pool_limit_connections") == things.size
    assert registry.get_sample_value("tocsin_database_pool_in_use_connections") == 0
    async with transaction(things), transaction(things):
        assert registry.get_sample_value("tocsin_database_pool_in_use_connections") == 2


async def test_the_disk_is_measured_while_the_database_is_unavailable(
    open_database: OpenDatabase, registry: CollectorRegistry, tmp_path: Path
) -> None:
    nowhere = f"host={tmp_path} dbname=x"
    database = open_database(nowhere)
    monitor = DatabaseMonitor(
        database,
        DatabaseMetrics.register(registry, database),
        quick_settings(nowhere, disk_path=tmp_path),
        SharedTime(),
    )
    with pytest.raises(Exception, match="cannot be reached"):
        await monitor.measure(web.Application())
    assert registry.get_sample_value("tocsin_disk_free_bytes")


async def test_a_clock_that_differs_from_that_of_the_database_is_reported(
    monitor: DatabaseMonitor, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    await monitor.measure(web.Application())
    assert registry.get_sample_value("tocsin_clock_skew_seconds") == pytest.approx(0, abs=0.5)
    monkeypatch.setattr(clock, "now", lambda: datetime.now(UTC) + timedelta(hours=1))
    await monitor.measure(web.Application())
    assert registry.get_sample_value("tocsin_clock_skew_seconds") == pytest.approx(3600, abs=0.5)
    assert registry.get_sample_value("tocsin_database_clock_jumps_total") == 0


async def test_a_jump_of_the_database_clock_is_measured_by_the_monotonic_clock(
    monitor: DatabaseMonitor, things: Database, registry: CollectorRegistry
) -> None:
    # A function of the same name, found first, is how the database's clock is moved without moving the machine's.
    async with transaction(things) as cur:
        await execute(
            cur,
            "CREATE FUNCTION things.clock_timestamp() RETURNS timestamptz LANGUAGE sql"
            " AS $$ SELECT pg_catalog.clock_timestamp() + current_setting('things.ahead')::interval $$",
        )
    jumps = []
    for ahead in ("0 s", "0 s", "1 hour", "1 hour", "30 minutes"):
        await _move_clock(things, ahead)
        await monitor.measure(web.Application())
        jumps.append(registry.get_sample_value("tocsin_database_clock_jumps_total"))
    assert jumps == [0, 0, 1, 1, 2]


async def _move_clock(things: Database, ahead: str) -> None:
    async with autocommit(things) as cur:
        await execute(cur, "SET search_path = things, pg_catalog")
        await execute(cur, "SELECT set_config('things.ahead', %(ahead)s, false)", ahead=ahead)


def test_a_missing_disk_path_stops_the_start() -> None:
    with pytest.raises(ValueError, match="disk_path"):
        quick_settings("dbname=x", disk_path="/nowhere/at/all")
