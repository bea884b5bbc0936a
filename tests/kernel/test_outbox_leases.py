"""Leases: a row belongs to one replica at a time, and to the next when that one is gone."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from tests.kernel.conftest import Rows, StartReplica
from tests.support.kernel.outbox_replica import Replica, text_of
from tests.support.postgres import run
from tests.support.waiting import AN_HOUR, eventually
from tocsin.kernel.db import Cursor, execute
from tocsin.kernel.errors import RejectedError

ROOT = Path(__file__).parents[2]
HOUR = timedelta(hours=1)


async def test_a_leased_row_is_not_leased_again_until_its_lease_ends(idle: Replica) -> None:
    await idle.say("x")
    (leased,) = await idle.outbox.lease(limit=9)
    assert leased.attempts == 1
    assert await idle.outbox.lease(limit=9) == []
    idle.db.set_clock_offset(timedelta(seconds=2))
    (again,) = await idle.outbox.lease(limit=9)
    assert again.message_id == leased.message_id
    assert again.attempts == 2


async def test_only_the_oldest_undelivered_row_of_a_key_is_leased(idle: Replica) -> None:
    for text, key in [("a1", "a"), ("b1", "b"), ("a2", "a"), ("b2", "b")]:
        await idle.say(text, key=key)
    first = await idle.outbox.lease(limit=9)
    assert sorted(text_of(message) for message in first) == ["a1", "b1"]
    await idle.outbox.deliver(next(message for message in first if message.key == "a"))
    (second,) = await idle.outbox.lease(limit=9)
    assert text_of(second) == "a2"


async def test_no_more_rows_are_leased_than_the_limit(idle: Replica) -> None:
    for number in range(5):
        await idle.say("x", key=str(number))
    assert len(await idle.outbox.lease(limit=3)) == 3
    assert len(await idle.outbox.lease(limit=3)) == 2


async def test_a_replica_paused_past_its_lease_changes_nothing(idle: Replica, rows: Rows, db_dsn: str) -> None:
    run(db_dsn, "CREATE TABLE oncall.delivered (attempt integer)")
    await idle.say("x")
    (paused,) = await idle.outbox.lease(limit=9)
    idle.db.set_clock_offset(HOUR)
    (successor,) = await idle.outbox.lease(limit=9)

    def note(attempt: int) -> None:
        async def after(cur: Cursor) -> None:
            await execute(cur, "INSERT INTO oncall.delivered VALUES (%(attempt)s)", attempt=attempt)

        idle.after = after

    note(1)
    await idle.outbox.deliver(paused)
    assert rows()[0]["done_at"] is None
    assert idle.count("fenced") == 1
    note(2)
    await idle.outbox.deliver(successor)
    assert rows()[0]["done_at"] - rows()[0]["created_at"] >= HOUR
    assert [row["attempt"] for row in run(db_dsn, "SELECT attempt FROM oncall.delivered")] == [2]
    assert idle.changes == 1


@pytest.mark.parametrize("error", [None, TimeoutError(), RejectedError(422, "no")])
async def test_a_replica_paused_past_its_lease_cannot_undo_what_its_successor_did(
    idle: Replica, rows: Rows, error: Exception | None
) -> None:
    await idle.say("x")
    (paused,) = await idle.outbox.lease(limit=9)
    idle.db.set_clock_offset(HOUR)
    (successor,) = await idle.outbox.lease(limit=9)
    await idle.outbox.deliver(successor)
    before = rows()
    idle.errors = [] if error is None else [error]
    await idle.outbox.deliver(paused)
    assert rows() == before


async def test_a_delivery_times_out_before_its_lease_ends(start: StartReplica, rows: Rows) -> None:
    replica = await start(lease_seconds=0.3)
    replica.gate.clear()
    await replica.say("slow")
    await eventually(lambda: rows()[0]["last_error"] == "no response in time")
    replica.gate.set()
    await eventually(lambda: rows()[0]["done_at"])


async def test_two_replicas_never_deliver_a_row_at_the_same_time(start: StartReplica, rows: Rows) -> None:
    replicas = [await start(poll_seconds=0.02, lease_seconds=AN_HOUR) for _ in range(3)]
    for number in range(120):
        await replicas[number % 3].say(str(number), key=str(number % 17))
    await eventually(lambda: all(row["done_at"] for row in rows()))
    delivered = Counter(message.message_id for replica in replicas for message in replica.received)
    assert set(delivered.values()) == {1}
    assert len(delivered) == 120


async def test_the_order_of_a_key_holds_across_replicas(start: StartReplica, rows: Rows) -> None:
    replicas = [await start(poll_seconds=0.02, lease_seconds=AN_HOUR) for _ in range(3)]
    delivered: list[str] = []
    for replica in replicas:
        replica.delivered = delivered
    for number in range(40):
        await replicas[number % 3].say(str(number))
    await eventually(lambda: all(row["done_at"] for row in rows()))
    assert delivered == [str(number) for number in range(40)]


@asynccontextmanager
async def delivering(dsn: str, received: Path, fault: str = "") -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.kernel.outbox_process",
        dsn,
        str(received),
        cwd=ROOT,
        env={**os.environ, "FAILPOINT": fault},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("point", ["lease", "deliver", "mark_done"])
async def test_a_delivery_of_a_killed_replica_is_repeated_by_another_with_the_same_message_id(
    idle: Replica, db_dsn: str, rows: Rows, tmp_path: Path, point: str
) -> None:
    received = tmp_path / "received"
    received.touch()
    message_id = await idle.say("x")
    async with delivering(db_dsn, received, f"outbox.{point}:kill") as process:
        assert await process.wait() == -signal.SIGKILL
    assert rows()[0]["done_at"] is None
    async with delivering(db_dsn, received):
        await eventually(lambda: rows()[0]["done_at"])
    times = 2 if point == "mark_done" else 1  # killed between the delivery and the mark: delivered twice
    assert received.read_text().split() == [str(message_id)] * times


async def test_a_stopping_process_lets_its_deliveries_finish(db_dsn: str, rows: Rows) -> None:
    replica = Replica(db_dsn, lease_seconds=AN_HOUR)
    async with replica.running():
        replica.gate.clear()
        await replica.say("x")
        await eventually(lambda: replica.received)
        asyncio.get_running_loop().call_later(0.2, replica.gate.set)
    assert rows()[0]["done_at"]


async def test_a_stopping_process_does_not_wait_for_a_delivery_that_hangs(
    db_dsn: str, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tocsin.kernel.outbox.STOP_SECONDS", 0.2)
    replica = Replica(db_dsn, lease_seconds=AN_HOUR)
    async with replica.running():
        replica.gate.clear()
        await replica.say("x")
        await eventually(lambda: replica.received)
    (row,) = rows()
    assert row["done_at"] is None
    assert row["attempts"] == 1
