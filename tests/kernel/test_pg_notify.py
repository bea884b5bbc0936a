"""The doorbell: replicas wake each other, and losing the bell costs a poll."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from aiohttp import web

from tests.kernel.conftest import OpenDatabase
from tests.support.kernel.quick_settings import quick_settings
from tests.support.kernel.sessions import ENDED
from tests.support.postgres import run
from tests.support.tcp_proxy import proxied_database
from tests.support.waiting import eventually
from tocsin.kernel import clock, pg_notify
from tocsin.kernel.db import Database, execute, transaction
from tocsin.kernel.pg_notify import NotifyChannel
from tocsin.kernel.workers import Wakeup

LISTENING = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
StartBell = Callable[..., Awaitable[tuple[NotifyChannel, Wakeup]]]


@pytest.fixture
async def start_bell(things_dsn: str) -> AsyncIterator[StartBell]:
    """Start one more replica's bell; its wake-up is clear when this returns."""
    async with AsyncExitStack() as stack:

        async def start(dsn: str = things_dsn) -> tuple[NotifyChannel, Wakeup]:
            before = len(run(things_dsn, LISTENING))
            db = Database(quick_settings(dsn).database_config(), schema="things")
            stack.push_async_callback(db.close)
            bell, wakeup = NotifyChannel(db, "bell"), Wakeup()
            bell.wake_on_notify(wakeup)
            app = web.Application()
            app.cleanup_ctx.append(bell.context)
            runner = web.AppRunner(app)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await eventually(lambda: len(run(things_dsn, LISTENING)) > before and wakeup.is_set())
            wakeup.clear()
            return bell, wakeup

        yield start


async def test_a_ring_wakes_this_process_at_once_and_the_others_soon(start_bell: StartBell) -> None:
    here, woken_here = await start_bell()
    _, woken_there = await start_bell()
    started = clock.monotonic()
    here.notify()
    assert woken_here.is_set()
    await woken_there.wait()
    assert clock.monotonic() - started < 0.2


async def test_one_is_not_woken_twice_by_its_own_ring(start_bell: StartBell) -> None:
    here, woken_here = await start_bell()
    _, woken_there = await start_bell()
    here.notify()
    woken_here.clear()
    await woken_there.wait()
    await clock.sleep(0.05)
    assert not woken_here.is_set()


async def test_many_rings_are_few_notifications(start_bell: StartBell) -> None:
    here, _ = await start_bell()
    _, woken_there = await start_bell()
    heard = 0
    deadline = clock.monotonic() + 0.5
    while clock.monotonic() < deadline:
        here.notify()
        await clock.sleep(0.001)
        if woken_there.is_set():
            heard += 1
            woken_there.clear()
    assert 1 <= heard <= 0.5 / pg_notify.COALESCE_SECONDS + 2


async def test_a_listener_that_is_cut_off_listens_again_and_looks(
    start_bell: StartBell, things_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pg_notify, "RECONNECT_SECONDS", 0.1)
    here, _ = await start_bell()
    _, woken_there = await start_bell()
    run(things_dsn, f"SELECT pg_terminate_backend(pid) FROM ({LISTENING}) AS listener")
    await eventually(lambda: len(run(things_dsn, LISTENING)) == 2)
    await eventually(woken_there.is_set)  # it may have missed a ring meanwhile
    woken_there.clear()
    here.notify()
    await eventually(woken_there.is_set)


async def test_a_listener_hears_of_an_end_that_the_loop_tells_of_once(
    start_bell: StartBell, things_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pg_notify, "RECONNECT_SECONDS", 0.1)
    async with proxied_database(things_dsn) as (proxy, dsn):
        _, woken = await start_bell(dsn)
        proxy.reset_at_once(ENDED)
        await eventually(woken.is_set)


async def test_a_ring_while_the_database_is_away_wakes_this_process_and_does_no_harm(
    start_bell: StartBell, things_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pg_notify, "RECONNECT_SECONDS", 0.1)
    _, woken_there = await start_bell()
    async with proxied_database(things_dsn) as (proxy, dsn):
        here, woken_here = await start_bell(dsn)
        await proxy.go_away()
        here.notify()
        assert woken_here.is_set()
        await clock.sleep(0.1)
        await proxy.come_back()
        woken_there.clear()

        async def rings_through() -> bool:
            here.notify()
            await clock.sleep(0.05)
            return woken_there.is_set()

        await eventually(rings_through)


async def test_nothing_is_left_open_at_the_end(things_dsn: str, open_database: OpenDatabase) -> None:
    db = open_database(things_dsn)
    bell = NotifyChannel(db, "bell")
    app = web.Application()
    app.cleanup_ctx.append(bell.context)
    runner = web.AppRunner(app)
    await runner.setup()
    await eventually(lambda: run(things_dsn, LISTENING))
    async with transaction(db) as cur:
        await execute(cur, "SELECT 1")
    await runner.cleanup()
    await db.close()
    await eventually(
        lambda: not run(things_dsn, "SELECT pid FROM pg_stat_activity WHERE application_name = 'tocsin-things'")
    )


@pytest.mark.parametrize("channel", ["", "a b", "x; DROP TABLE thing", "1st", 'quo"te'])
def test_a_channel_is_an_identifier(channel: str, things: Database) -> None:
    with pytest.raises(ValueError, match="cannot name a channel"):
        NotifyChannel(things, channel)
