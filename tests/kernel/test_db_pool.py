"""The pool and its transactions, with a database that is there."""

import asyncio

import pytest
from psycopg2.extensions import make_dsn

from tests.kernel.conftest import OpenDatabase
from tests.support.kernel.sessions import ask, backend, connections, is_asleep
from tests.support.postgres import run
from tests.support.waiting import eventually
from tocsin.kernel import clock, tasks
from tocsin.kernel.db import Database, execute, fetch_one, required, transaction
from tocsin.kernel.dsn import check_dsn
from tocsin.kernel.errors import (
    DatabaseUnavailableError,
    DataRefusedError,
    NotFoundError,
    StatementTimeoutError,
    TransactionConflictError,
)
from tocsin.kernel.tasks import create_task


async def test_connections_are_reused(things: Database) -> None:
    assert await backend(things) == await backend(things)


@pytest.mark.slow
async def test_a_statement_that_takes_too_long_is_cancelled_and_its_connection_stays_usable(things: Database) -> None:
    pid = await backend(things)
    with pytest.raises(StatementTimeoutError):
        await ask(things, "SELECT pg_sleep(30)")
    assert await backend(things) == pid


async def test_a_lock_that_cannot_be_acquired_is_a_timeout(things: Database) -> None:
    async with transaction(things) as holder:
        await execute(holder, "LOCK TABLE thing")
        with pytest.raises(StatementTimeoutError):
            await ask(things, "SELECT * FROM thing")
    assert await ask(things, "SELECT * FROM thing") == []


@pytest.mark.slow
async def test_of_two_transactions_in_a_deadlock_one_fails_with_a_retriable_error(
    things_dsn: str, open_database: OpenDatabase
) -> None:
    db = open_database(things_dsn, db_statement_timeout_seconds=10, db_lock_timeout_seconds=10)
    await ask(db, "INSERT INTO thing VALUES (1), (2) RETURNING id")
    both_hold_one = asyncio.Barrier(2)

    async def take(first: int, second: int) -> None:
        async with transaction(db) as cur:
            await execute(cur, "UPDATE thing SET name = 'x' WHERE id = %(id)s", id=first)
            await both_hold_one.wait()
            await execute(cur, "UPDATE thing SET name = 'x' WHERE id = %(id)s", id=second)

    outcomes = await asyncio.gather(take(1, 2), take(2, 1), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes if outcome is not None] == [TransactionConflictError]


async def test_a_caller_waits_for_a_connection_and_then_fails(things_dsn: str, open_database: OpenDatabase) -> None:
    db = open_database(things_dsn, db_pool_size=2, db_statement_timeout_seconds=0.3)
    async with db.connection(), db.connection():
        with pytest.raises(DatabaseUnavailableError, match="in use"):
            await ask(db)
    assert await ask(db) == [{"one": 1}]


@pytest.mark.slow
async def test_a_cancelled_statement_returns_its_connection(things_dsn: str, things: Database) -> None:
    for _ in range(2 * things.size):
        asking = create_task(ask(things, "SELECT pg_sleep(30)"), name="asking")
        await eventually(lambda: is_asleep(things_dsn))
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    assert things.in_use == 0
    assert await ask(things) == [{"one": 1}]
    await eventually(lambda: connections(things_dsn) == 1)


async def test_waiting_for_a_connection_can_be_cancelled(things_dsn: str, open_database: OpenDatabase) -> None:
    db = open_database(things_dsn, db_pool_size=2)
    async with db.connection(), db.connection():
        waiting = [create_task(ask(db), name="waiting") for _ in range(20)]
        await clock.sleep(0)  # each runs until it waits
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    assert db.in_use == 0
    assert [await ask(db) for _ in range(3)] == [[{"one": 1}]] * 3


async def test_no_connection_leaks_however_transactions_end(things_dsn: str, things: Database) -> None:
    async def end(number: int) -> None:
        patience = 5 if number % 3 else 0.001 * (number % 7)
        async with tasks.timeout(patience), transaction(things) as cur:
            await execute(cur, "SELECT 1" if number % 2 else "SELECT 1/0")

    for _ in range(10):
        await asyncio.gather(*(end(number) for number in range(20)), return_exceptions=True)
    assert things.in_use == 0
    await eventually(lambda: connections(things_dsn) <= things.size)
    assert run(things_dsn, "SELECT 1 AS one FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'") == []
    await things.close()
    await eventually(lambda: connections(things_dsn) == 0)


async def test_an_error_in_a_transaction_rolls_back_and_is_raised_unchanged(things: Database) -> None:
    async def refuse() -> None:
        async with transaction(things) as cur:
            await execute(cur, "INSERT INTO thing VALUES (1)")
            required(await fetch_one(cur, "SELECT FROM thing WHERE id = 2"), "There is no thing 2.")

    pid = await backend(things)
    with pytest.raises(NotFoundError, match="no thing 2"):
        await refuse()
    assert await ask(things, "SELECT id FROM thing") == []
    assert await backend(things) == pid


@pytest.mark.parametrize("error", [TimeoutError, FileNotFoundError])
async def test_an_error_of_the_callers_code_is_not_mistaken_for_one_of_the_database(
    things: Database, error: type[Exception]
) -> None:
    async def fail() -> None:
        async with transaction(things):
            raise error

    with pytest.raises(error):
        await fail()


async def test_a_value_too_large_for_an_index_is_refused_data_and_no_outage(things: Database) -> None:
    async def insert() -> None:
        async with transaction(things) as cur:
            await execute(cur, "CREATE INDEX ON thing (name)")
            await execute(
                cur, "INSERT INTO thing SELECT 1, string_agg(md5(n::text), '') FROM generate_series(1, 900) AS n"
            )

    with pytest.raises(DataRefusedError):
        await insert()
    assert await ask(things) == [{"one": 1}]


async def test_a_literal_percent_sign_needs_no_parameters(things: Database) -> None:
    assert await ask(things, "SELECT 'a%b' LIKE 'a%' AS fits") == [{"fits": True}]


async def test_a_closed_pool_keeps_no_connection(things_dsn: str, things: Database) -> None:
    await ask(things)
    await things.close()
    assert await ask(things) == [{"one": 1}]
    await eventually(lambda: connections(things_dsn) == 0)


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql:/user:hunter2@host/name",
        "postgresql://user:hunter2@host:port/name",
        "host=a port=x password=hunter2",
        "mysql://user:hunter2@host/name",
        "host=a nonsense=hunter2",
    ],
)
def test_an_invalid_dsn_is_refused_without_showing_its_password(dsn: str) -> None:
    with pytest.raises(ValueError, match="not a PostgreSQL address") as caught:
        check_dsn(dsn)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "dsn", ["postgresql://u:p@h:5432/n", "host=/run/db dbname=n", "postgresql://a,b:6000/n", "host=a,b port=1,2"]
)
def test_a_dsn_that_libpq_accepts_is_accepted(dsn: str) -> None:
    check_dsn(dsn)


@pytest.mark.parametrize(
    "options", ["-c tocsin.clock_offset=1h", "-c work_mem=7MB --Tocsin.Clock_Offset=1h", r"-c tocsin\.clock\_offset=1h"]
)
def test_a_dsn_that_moves_the_clock_is_refused(options: str) -> None:
    with pytest.raises(ValueError, match=r"tocsin\.clock_offset, which only tests may do"):
        check_dsn(make_dsn(options=options))
