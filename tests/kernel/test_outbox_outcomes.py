"""The outcome of a delivery is recorded as soon as the database allows it, not repeated when the lease ends."""

import pytest

from tests.kernel.conftest import Rows, StartReplica
from tests.support.table_lock import locked
from tests.support.waiting import AN_HOUR, eventually
from tocsin.kernel.db import Cursor, execute
from tocsin.kernel.errors import RejectedError, UnavailableError, UpstreamError
from tocsin.kernel.outcome_recorder import OutcomeRecorder

BRIEF = {"lease_seconds": AN_HOUR, "db_lock_timeout_seconds": 0.1}
"""Statements that give up a lock soon, and leases that no test waits for."""


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(None, "done"), (UpstreamError("down"), "retry"), (RejectedError(422, "no"), "parked")],
    ids=["done", "retry", "parked"],
)
async def test_an_outcome_is_recorded_when_a_lock_of_the_table_is_gone(
    start: StartReplica, db_dsn: str, rows: Rows, error: Exception | None, outcome: str
) -> None:
    replica = await start(**BRIEF)
    replica.errors = [] if error is None else [error]
    replica.gate.clear()
    await replica.say("x")
    await eventually(lambda: replica.received)
    async with locked(db_dsn, "oncall.outbox") as lock:
        replica.gate.set()
        await lock.waited(6)
    await eventually(lambda: rows()[0]["parked_at" if outcome == "parked" else "done_at"])
    assert len(replica.received) == (2 if outcome == "retry" else 1)
    await eventually(lambda: replica.count(outcome) == 1)
    assert replica.count("fenced") == 0


async def test_what_a_response_changes_is_written_once_if_the_response_to_the_commit_is_lost(
    start: StartReplica, rows: Rows
) -> None:
    replica = await start(**BRIEF)
    writes = 0

    async def after(cur: Cursor) -> None:
        nonlocal writes
        writes += 1
        await execute(cur, "COMMIT; SELECT pg_terminate_backend(pg_backend_pid())")

    replica.after = after
    await replica.say("x")
    await eventually(lambda: replica.count("done") == 1)
    assert rows()[0]["done_at"]
    assert (writes, replica.changes, len(replica.received)) == (1, 1, 1)


async def test_recording_ends_with_the_lease(start: StartReplica) -> None:
    replica = await start()
    tries = 0

    async def write() -> None:
        nonlocal tries
        tries += 1
        msg = "locked"
        raise UnavailableError(msg)

    with pytest.raises(UnavailableError, match="locked"):
        await OutcomeRecorder(replica.db).record(write, expires=0.0)
    assert tries == 1
