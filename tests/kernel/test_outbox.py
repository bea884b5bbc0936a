"""The outbox: every message is delivered, in order, once where nothing fails, and never given up."""

import asyncio

import pytest

from tests.kernel.conftest import Rows, StartReplica
from tests.support.kernel.outbox_replica import Replica, Words
from tests.support.postgres import run
from tests.support.waiting import AN_HOUR, eventually
from tocsin.kernel.db import Cursor, execute, transaction
from tocsin.kernel.errors import DataRefusedError, RejectedError, UpstreamError
from tocsin.kernel.ids import new_id
from tocsin.kernel.outbox import CONCURRENCY
from tocsin.kernel.request_id import REQUEST_ID


async def test_an_enqueued_row_is_delivered_once_and_kept_as_done(start: StartReplica, rows: Rows) -> None:
    replica = await start(poll_seconds=0.02)
    REQUEST_ID.set("the-request")
    message_id = await replica.say("hello")
    await eventually(lambda: rows()[0]["done_at"])
    await replica.polls(3)
    (message,) = replica.received
    assert (message.message_id, message.kind, message.key) == (message_id, "say", "k")
    assert message.body == b'{"text":"hello"}'
    assert message.request_id == "the-request"
    assert message.attempts == 1
    assert replica.count("done") == 1


async def test_a_row_of_a_transaction_that_was_rolled_back_is_not_delivered(start: StartReplica, rows: Rows) -> None:
    replica = await start()

    async def change_and_roll_back() -> None:
        async with transaction(replica.db) as cur:
            await replica.outbox.enqueue(cur, kind="say", key="k", body=Words(text="never"))
            raise LookupError

    with pytest.raises(LookupError):
        await change_and_roll_back()
    await replica.say("afterwards", key="other")
    await eventually(lambda: replica.count("done") == 1)
    assert replica.texts() == ["afterwards"]
    assert len(rows()) == 1


async def test_a_kind_without_a_handler_is_refused_when_it_is_enqueued(idle: Replica) -> None:
    async with transaction(idle.db) as cur:
        with pytest.raises(ValueError, match="no handler delivers 'sing'"):
            await idle.outbox.enqueue(cur, kind="sing", key="k", body=Words(text="la"))


async def test_the_rows_of_a_key_are_delivered_in_order_one_at_a_time(start: StartReplica) -> None:
    replica = await start()
    replica.errors = [UpstreamError("down"), UpstreamError("down")]
    for number in range(6):
        await replica.say(str(number))
    await eventually(lambda: replica.count("done") == 6)
    assert replica.texts() == ["0", "0", "0", "1", "2", "3", "4", "5"]


async def test_many_rows_enqueued_at_once_keep_their_order(start: StartReplica) -> None:
    replica = await start()
    async with transaction(replica.db) as cur:
        await replica.outbox.enqueue_many(
            cur, kind="say", rows=[(new_id(), f"k{number % 2}", Words(text=str(number))) for number in range(20)]
        )
    replica.outbox.wake()
    await eventually(lambda: replica.count("done") == 20)
    assert replica.texts("k0") == [str(number) for number in range(0, 20, 2)]
    assert replica.texts("k1") == [str(number) for number in range(1, 20, 2)]


async def test_keys_are_delivered_concurrently(start: StartReplica) -> None:
    replica = await start(lease_seconds=AN_HOUR)
    replica.gate.clear()
    for number in range(CONCURRENCY):
        await replica.say("x", key=str(number))
    await eventually(lambda: len(replica.received) == CONCURRENCY)
    replica.gate.set()
    await eventually(lambda: replica.count("done") == CONCURRENCY)


async def test_a_key_that_hangs_does_not_delay_the_others(start: StartReplica) -> None:
    replica = await start(lease_seconds=AN_HOUR)
    replica.gate.clear()
    await replica.say("hangs", key="a")
    await eventually(lambda: replica.received)
    replica.gate.set()
    replica.gate = asyncio.Event()
    replica.gate.set()
    await replica.say("goes on", key="b")
    await eventually(lambda: "goes on" in replica.texts())


async def test_a_kind_whose_receiver_hangs_does_not_delay_the_others(start: StartReplica) -> None:
    replica = await start(lease_seconds=AN_HOUR)
    for number in range(3 * CONCURRENCY):
        await replica.say("hangs", key=str(number), kind="hang")
    await eventually(lambda: len(replica.received) >= CONCURRENCY)
    await replica.say("goes on", key="other")
    await eventually(lambda: "goes on" in replica.texts())
    assert len(replica.texts()) <= 2 * CONCURRENCY + 1, "at first the free places of both kinds are for any row"


async def test_a_row_is_delivered_at_once_and_not_at_the_next_poll(start: StartReplica) -> None:
    replica = await start(poll_seconds=AN_HOUR)
    await replica.say("first")
    await eventually(lambda: replica.count("done") == 1)
    await replica.say("second")
    await eventually(lambda: replica.count("done") == 2)


async def test_a_row_whose_wake_up_was_missed_is_delivered_at_the_next_poll(start: StartReplica) -> None:
    replica = await start(poll_seconds=0.1)
    async with transaction(replica.db) as cur:
        await replica.outbox.enqueue(cur, kind="say", key="k", body=Words(text="quiet"))
    await eventually(lambda: replica.count("done") == 1)


async def test_a_rejected_row_is_parked_and_the_next_of_its_key_delivered(start: StartReplica, rows: Rows) -> None:
    replica = await start()
    replica.errors = [RejectedError(422, "No such person.")]
    await replica.say("refused")
    await replica.say("next")
    await eventually(lambda: replica.count("done") == 1)
    refused, following = rows()
    assert refused["parked_at"]
    assert refused["done_at"] is None
    assert refused["last_error"] == "No such person."
    assert following["done_at"]
    assert replica.texts() == ["refused", "next"]
    assert replica.count("parked") == 1


async def test_a_row_of_a_kind_that_only_a_newer_version_knows_keeps_its_place(
    start: StartReplica, rows: Rows, db_dsn: str
) -> None:
    run(
        db_dsn,
        "INSERT INTO oncall.outbox (message_id, kind, key, body, request_id)"
        " VALUES (gen_random_uuid(), 'sing', 'k', '{}', '-')",
    )
    replica = await start(poll_seconds=0.02)
    await replica.say("after the song")
    await replica.say("elsewhere", key="other")
    await eventually(lambda: replica.count("done") == 1)
    await replica.polls(3)
    assert replica.texts() == ["elsewhere"]
    song, waiting, _ = rows()
    assert (song["attempts"], waiting["attempts"]) == (0, 0)


async def test_changes_after_a_delivery_commit_with_its_row(start: StartReplica, db_dsn: str, rows: Rows) -> None:
    run(db_dsn, "CREATE TABLE oncall.delivered (at timestamptz, transaction xid8)")
    replica = await start()

    async def note(cur: Cursor) -> None:
        await execute(cur, "INSERT INTO oncall.delivered VALUES (now(), pg_current_xact_id())")

    replica.after = note
    await replica.say("x")
    await eventually(lambda: replica.changes == 1)
    (delivered,) = run(db_dsn, "SELECT at FROM oncall.delivered")
    assert delivered["at"] == rows()[0]["done_at"]


async def test_a_row_is_delivered_again_if_changes_after_its_delivery_fail(start: StartReplica, rows: Rows) -> None:
    replica = await start()
    failures = 2

    async def fail_twice(cur: Cursor) -> None:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            await execute(cur, "SELECT 1/0")

    replica.after = fail_twice
    await replica.say("x")
    await eventually(lambda: replica.count("done") == 1)
    assert [message.attempts for message in replica.received] == [1, 2, 3]
    assert rows()[0]["done_at"]
    assert replica.changes == 1


async def test_a_caller_can_wait_for_a_delivery(start: StartReplica) -> None:
    replica = await start(poll_seconds=AN_HOUR)
    message_id = await replica.say("x")
    assert await replica.outbox.wait_until_delivered(message_id, AN_HOUR)


async def test_waiting_for_a_delivery_times_out(start: StartReplica) -> None:
    replica = await start()
    replica.errors = [UpstreamError("down")] * 100
    message_id = await replica.say("x")
    assert not await replica.outbox.wait_until_delivered(message_id, 0.2)


async def test_waiting_ends_with_a_delivery_by_another_replica_and_with_an_earlier_one(start: StartReplica) -> None:
    here, there = await start(lease_seconds=AN_HOUR), await start(lease_seconds=AN_HOUR)
    here.gate.clear()
    there.gate.clear()
    message_id = await here.say("x")
    await eventually(lambda: here.received or there.received)
    waiter = there if here.received else here
    waiting = asyncio.ensure_future(waiter.outbox.wait_until_delivered(message_id, AN_HOUR))
    here.gate.set()
    there.gate.set()
    assert await waiting
    assert await waiter.outbox.wait_until_delivered(message_id, AN_HOUR)


async def test_the_metrics_show_the_backlog(start: StartReplica, db_dsn: str) -> None:
    run(
        db_dsn,
        "INSERT INTO oncall.outbox (message_id, kind, key, body, request_id, created_at, parked_at)"
        " SELECT gen_random_uuid(), 'sing', n::text, '{}', '-', now() - interval '100 s',"
        "   CASE WHEN n > 3 THEN now() END"
        " FROM generate_series(1, 5) AS n",
    )
    replica = await start(poll_seconds=0.05)
    ask = replica.registry.get_sample_value
    await eventually(lambda: ask("tocsin_outbox_undelivered_rows") == 3)
    assert ask("tocsin_outbox_parked_rows") == 2
    oldest = ask("tocsin_outbox_oldest_seconds")
    assert oldest is not None
    assert oldest >= 100


async def test_only_rows_that_were_done_long_ago_are_deleted(start: StartReplica, db_dsn: str) -> None:
    run(
        db_dsn,
        "INSERT INTO oncall.outbox (message_id, kind, key, body, request_id, done_at, parked_at)"
        " SELECT gen_random_uuid(), 'sing', n::text, '{}', '-',"
        "   CASE WHEN n <= 2500 THEN now() - interval '25 hours' WHEN n = 2501 THEN now() - interval '23 hours' END,"
        "   CASE WHEN n = 2503 THEN now() - interval '1 year' END"
        " FROM generate_series(1, 2503) AS n",
    )
    await start(poll_seconds=0.05)
    left = "SELECT key FROM oncall.outbox ORDER BY id"
    await eventually(lambda: len(run(db_dsn, left)) == 3)
    assert [row["key"] for row in run(db_dsn, left)] == ["2501", "2502", "2503"]


@pytest.mark.slow
async def test_a_delivery_survives_the_end_of_its_sessions(start: StartReplica, db_dsn: str, rows: Rows) -> None:
    replica = await start()
    replica.gate.clear()
    await replica.say("x")
    await eventually(lambda: replica.received)
    kick = """
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE application_name = 'tocsin-oncall' AND datname = current_database()
    """
    run(db_dsn, kick)
    replica.gate.set()
    await eventually(lambda: rows()[0]["done_at"])


async def test_two_rows_of_one_message_are_refused(idle: Replica) -> None:
    message_id = new_id()

    async def enqueue() -> None:
        async with transaction(idle.db) as cur:
            await idle.outbox.enqueue(cur, kind="say", key="k", body=Words(text="x"), message_id=message_id)

    await enqueue()
    with pytest.raises(DataRefusedError):
        await enqueue()
