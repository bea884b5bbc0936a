"""Replicas wake each other by NOTIFY; a lost notification costs a poll."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from types import SimpleNamespace

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from tests.kernel.conftest import OpenDatabase
from tests.support.kernel.quick_settings import quick_settings
from tests.support.kernel.sessions import ENDED, connections
from tests.support.postgres import run
from tests.support.tcp_proxy import proxied_database
from tests.support.waiting import eventually
from tocsin.kernel import pg_notify
from tocsin.kernel.db import Database, execute, transaction
from tocsin.kernel.pg_notify import NotifyChannel
from tocsin.kernel.workers import Wakeup

LISTENING = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"


class CountedWakeup(Wakeup):
    """Counts how often it is set."""

    def __init__(self) -> None:
        super().__init__()
        self.times = 0

    def set(self) -> None:
        self.times += 1
        super().set()


StartChannel = Callable[..., Awaitable[tuple[NotifyChannel, CountedWakeup]]]


@pytest.fixture
async def start_channel(things_dsn: str) -> AsyncIterator[StartChannel]:
    """Start one more replica's channel; its wake-up is clear when this returns."""
    async with AsyncExitStack() as stack:

        async def start(dsn: str = things_dsn) -> tuple[NotifyChannel, CountedWakeup]:
            before = len(run(things_dsn, LISTENING))
            db = Database(quick_settings(dsn).database_config(), schema="things")
            stack.push_async_callback(db.close)
            channel, wakeup = NotifyChannel(db, "changes"), CountedWakeup()
            channel.wake_on_notify(wakeup)
            app = web.Application()
            app.cleanup_ctx.append(channel.context)
            runner = web.AppRunner(app)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await eventually(lambda: len(run(things_dsn, LISTENING)) > before and wakeup.is_set())
            wakeup.clear()
            return channel, wakeup

        yield start


async def test_a_notification_wakes_this_process_immediately_and_the_others_soon(start_channel: StartChannel) -> None:
    here, woken_here = await start_channel()
    _, woken_there = await start_channel()
    here.notify()
    assert woken_here.is_set()
    await woken_there.wait()


async def test_a_process_is_not_woken_again_by_its_own_notification(start_channel: StartChannel) -> None:
    here, woken_here = await start_channel()
    there, woken_there = await start_channel()
    woken_here.times = 0
    here.notify()
    await woken_there.wait()
    there.notify()
    await eventually(lambda: woken_here.times >= 2)  # notifications arrive in order: its own has arrived, too
    assert woken_here.times == 2


async def test_many_notifications_at_once_are_sent_as_one(
    start_channel: StartChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: asyncio.Queue[float] = asyncio.Queue()
    proceed = asyncio.Event()

    async def pause(seconds: float) -> None:
        pauses.put_nowait(seconds)
        await proceed.wait()

    here, _ = await start_channel()
    there, woken_there = await start_channel()
    monkeypatch.setattr(pg_notify, "clock", SimpleNamespace(sleep=pause))
    woken_there.times = 0
    here.notify()
    assert await pauses.get() == pg_notify.COALESCE_SECONDS
    for _ in range(100):
        here.notify()
    proceed.set()
    await pauses.get()
    await eventually(lambda: woken_there.times >= 2)
    there.notify()
    await pauses.get()
    assert woken_there.times == 3, "the first, the hundred, and its own"


async def test_a_notification_of_a_topic_wakes_only_who_waits_for_it(start_channel: StartChannel) -> None:
    here, woken_here = await start_channel()
    there, woken_there = await start_channel()
    topics = {channel: CountedWakeup() for channel in (here, there)}
    for channel, wakeup in topics.items():
        channel.wake_on_notify(wakeup, "rows")
    woken_here.times = woken_there.times = 0
    here.notify("rows")
    await topics[there].wait()
    assert (topics[here].times, woken_here.times, woken_there.times) == (1, 0, 0)
    here.notify()
    await woken_there.wait()
    assert (topics[here].times, topics[there].times, woken_here.times) == (2, 2, 1)


async def test_a_notification_of_the_previous_release_is_of_every_topic(
    start_channel: StartChannel, things_dsn: str
) -> None:
    here, woken_here = await start_channel()
    rows = CountedWakeup()
    here.wake_on_notify(rows, "rows")
    run(things_dsn, "SELECT pg_notify('changes', 'an-id-without-topics')")
    await rows.wait()
    assert woken_here.is_set()


async def test_a_topic_of_a_newer_release_is_ignored(start_channel: StartChannel, things_dsn: str) -> None:
    _, woken_here = await start_channel()
    run(things_dsn, "SELECT pg_notify('changes', 'an-id new-topic')")
    run(things_dsn, "SELECT pg_notify('changes', 'an-id changes')")
    await woken_here.wait()


async def test_a_listener_that_was_disconnected_listens_again_and_wakes_its_process(
    start_channel: StartChannel, things_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pg_notify, "RECONNECT_SECONDS", 0.1)
    here, _ = await start_channel()
    _, woken_there = await start_channel()
    run(things_dsn, f"SELECT pg_terminate_backend(pid) FROM ({LISTENING}) AS listener")
    await eventually(lambda: len(run(things_dsn, LISTENING)) == 2)
    await eventually(woken_there.is_set)  # it may have missed a notification
    woken_there.clear()
    here.notify()
    await eventually(woken_there.is_set)


async def test_a_listener_notices_a_close_and_a_reset_that_the_loop_reports_as_one_event(
    start_channel: StartChannel, things_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pg_notify, "RECONNECT_SECONDS", 0.1)
    async with proxied_database(things_dsn) as (proxy, dsn):
        _, woken = await start_channel(dsn)
        proxy.reset_at_once(ENDED)
        await eventually(woken.is_set)


async def test_without_the_database_a_notification_still_wakes_its_own_process(
    start_channel: StartChannel, things_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pg_notify, "RECONNECT_SECONDS", 0.1)
    _, woken_there = await start_channel()
    async with proxied_database(things_dsn) as (proxy, dsn):
        here, woken_here = await start_channel(dsn)
        await proxy.stop()
        with capture_logs() as logs:
            here.notify()
            assert woken_here.is_set()
            await eventually(lambda: "NOTIFY failed; other replicas poll instead" in [entry["event"] for entry in logs])
        await proxy.start()
        woken_there.clear()

        def is_woken() -> bool:
            here.notify()
            return woken_there.is_set()

        await eventually(is_woken, every=0.05)


async def test_stopping_closes_every_connection(things_dsn: str, open_database: OpenDatabase) -> None:
    db = open_database(things_dsn)
    channel = NotifyChannel(db, "changes")
    app = web.Application()
    app.cleanup_ctx.append(channel.context)
    runner = web.AppRunner(app)
    await runner.setup()
    await eventually(lambda: run(things_dsn, LISTENING))
    async with transaction(db) as cur:
        await execute(cur, "SELECT 1")
    await runner.cleanup()
    await db.close()
    await eventually(lambda: not connections(things_dsn))


@pytest.mark.parametrize("channel", ["", "a b", "x; DROP TABLE thing", "1st", 'quo"te'])
def test_a_channel_name_must_be_an_identifier(channel: str, things: Database) -> None:
    with pytest.raises(ValueError, match="cannot name a channel"):
        NotifyChannel(things, channel)
