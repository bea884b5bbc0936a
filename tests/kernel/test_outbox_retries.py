"""The outbox: a delivery that fails is retried after a growing pause."""

import pytest

from tests.kernel.conftest import Rows, StartReplica
from tests.support.kernel.outbox_replica import Replica
from tests.support.waiting import AN_HOUR, eventually
from tocsin.kernel.errors import UpstreamError
from tocsin.kernel.outbox import backoff


async def test_retries_have_growing_delays_and_the_same_message_id(start: StartReplica, rows: Rows) -> None:
    replica = await start()
    replica.errors = [UpstreamError("peer is down"), TimeoutError(), RuntimeError("a bug")]
    message_id = await replica.say("stubborn")
    await eventually(lambda: replica.count("done") == 1)
    assert [message.message_id for message in replica.received] == [message_id] * 4
    assert [message.attempts for message in replica.received] == [1, 2, 3, 4]
    assert replica.count("retry") == 3
    assert rows()[0]["last_error"] is None


async def test_a_retry_happens_when_its_back_off_ends_and_not_at_the_next_poll(start: StartReplica) -> None:
    replica = await start(poll_seconds=AN_HOUR)
    replica.errors = [UpstreamError("down"), UpstreamError("down")]
    await replica.say("x")
    await eventually(lambda: replica.count("done") == 1)


async def test_the_reason_of_a_failure_is_stored_whatever_characters_it_has(idle: Replica, rows: Rows) -> None:
    await idle.say("x")
    (message,) = await idle.outbox.lease(limit=9)
    idle.errors = [UpstreamError("NUL \0 and \udcff and " + "x" * 10_000)]
    await idle.outbox.deliver(message)
    (row,) = rows()
    assert row["last_error"].startswith("NUL  and ? and xxx")
    assert len(row["last_error"]) <= 2_000
    assert row["done_at"] is None


@pytest.mark.parametrize("attempts", [1, 2, 5, 40, 2_000])
def test_back_off_doubles_up_to_its_maximum_and_is_jittered(attempts: int) -> None:
    full = min(30.0, 0.5 * 2.0 ** min(attempts - 1, 100))
    waits = {backoff(attempts, 0.5, 30.0) for _ in range(50)}
    assert len(waits) > 10
    assert all(full / 2 <= wait <= full for wait in waits)
