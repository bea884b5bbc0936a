"""The database ends sessions, is cut off, stops responding, stops and starts."""

import asyncio
import os
import resource
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from psycopg2.extensions import make_dsn

from tests.kernel.conftest import OpenDatabase
from tests.support.kernel.sessions import ENDED, answers, ask, backend, is_asleep, terminate
from tests.support.postgres import run
from tests.support.tcp_proxy import Way, proxied_database
from tests.support.waiting import AN_HOUR, eventually
from tocsin.kernel.db import Database, execute, transaction
from tocsin.kernel.errors import DatabaseUnavailableError, NotFoundError
from tocsin.kernel.tasks import create_task

SELECT_TAKES = 1_023


async def test_a_backend_that_ended_while_idle_is_replaced(things_dsn: str, things: Database) -> None:
    pid = await backend(things)
    terminate(things_dsn)

    async def is_replaced() -> bool:
        try:
            return await backend(things) != pid
        except DatabaseUnavailableError:
            return False  # used before the loop saw that it had ended

    await eventually(is_replaced)


async def test_the_database_is_unavailable_when_a_backend_ends_in_a_transaction(
    things_dsn: str, things: Database
) -> None:
    async def insert() -> None:
        async with transaction(things) as cur:
            await execute(cur, "INSERT INTO thing VALUES (1)")
            terminate(things_dsn)
            await execute(cur, "INSERT INTO thing VALUES (2)")

    with pytest.raises(DatabaseUnavailableError):
        await insert()
    assert await ask(things, "SELECT id FROM thing") == []


async def test_the_database_is_unavailable_when_a_backend_ends_during_a_statement(
    things_dsn: str, things: Database
) -> None:
    asking = create_task(ask(things, "SELECT pg_sleep(30)"), name="asking")
    await eventually(lambda: is_asleep(things_dsn))
    terminate(things_dsn)
    with pytest.raises(DatabaseUnavailableError):
        await asking
    assert await ask(things) == [{"one": 1}]


async def test_after_a_reset_while_a_large_statement_is_sent_the_next_statement_connects_again(
    things_dsn: str, open_database: OpenDatabase
) -> None:
    async with proxied_database(things_dsn) as (proxy, dsn):
        db = open_database(dsn, db_statement_timeout_seconds=AN_HOUR)

        async def send_much() -> None:
            async with transaction(db) as cur:
                proxy.drop(Way.UP)
                await execute(cur, "SELECT length(%(text)s)", text="x" * 30_000_000)

        sending = create_task(send_much(), name="sending")
        await eventually(lambda: proxy.held[Way.UP])
        await proxy.reset()
        with pytest.raises(DatabaseUnavailableError):
            await sending
        proxy.heal()
        assert await ask(db) == [{"one": 1}]


async def test_a_close_and_a_reset_that_the_loop_reports_as_one_event_are_both_noticed(
    things_dsn: str, open_database: OpenDatabase
) -> None:
    """This happens when a statement is sent to a backend that has just ended."""
    async with proxied_database(things_dsn) as (proxy, dsn):
        db = open_database(dsn, db_statement_timeout_seconds=AN_HOUR)
        asking = create_task(ask(db, "SELECT pg_sleep(3600)"), name="asking")
        await eventually(lambda: is_asleep(things_dsn))
        proxy.reset_at_once(ENDED)
        with pytest.raises(DatabaseUnavailableError):
            await asking
        assert await ask(db) == [{"one": 1}]


@pytest.mark.parametrize("allowed", [0, 1, 60, 400, 700, 20_000, 100_000])
async def test_the_database_is_unavailable_when_a_result_is_cut_off_at_any_byte(
    things_dsn: str, open_database: OpenDatabase, allowed: int
) -> None:
    async with proxied_database(things_dsn) as (proxy, dsn):
        db = open_database(dsn)
        proxy.limits[Way.DOWN] = allowed
        with pytest.raises(DatabaseUnavailableError):
            await ask(db, "SELECT repeat('x', 1000) FROM generate_series(1, 200)")
        proxy.heal()
        await eventually(lambda: answers(db))


@pytest.mark.slow
async def test_a_silent_database_is_unavailable_in_bounded_time(things_dsn: str, open_database: OpenDatabase) -> None:
    async with proxied_database(things_dsn) as (proxy, dsn):
        db = open_database(dsn, db_statement_timeout_seconds=0.3, db_connect_timeout_seconds=0.3)
        await ask(db)
        proxy.drop()
        outcomes = await asyncio.gather(*(ask(db) for _ in range(12)), return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {DatabaseUnavailableError}
        # Every slot of the pool connects once, all at the same time; after that the pool does not try for a moment.
        assert proxy.accepted == db.size
        proxy.heal()
        await eventually(lambda: answers(db))


async def test_for_a_moment_after_a_failed_connect_others_fail_at_once(
    things_dsn: str, open_database: OpenDatabase
) -> None:
    async with proxied_database(things_dsn) as (proxy, dsn):
        db = open_database(dsn)
        await proxy.stop()
        with pytest.raises(DatabaseUnavailableError):
            await ask(db)
        await proxy.start()
        with pytest.raises(DatabaseUnavailableError):
            await ask(db)
        assert proxy.accepted == 0
        await eventually(lambda: answers(db))


@pytest.mark.slow
async def test_a_database_that_stops_and_starts_is_connected_to_again(
    things_dsn: str, open_database: OpenDatabase
) -> None:
    async with proxied_database(things_dsn) as (proxy, dsn):
        db = open_database(dsn)
        for _ in range(3):
            await asyncio.gather(*(ask(db) for _ in range(8)))
            await proxy.stop()
            for _ in range(5):
                with pytest.raises(DatabaseUnavailableError):
                    await ask(db)
            await proxy.start()
            await eventually(lambda: answers(db))


async def test_the_first_error_is_raised_when_the_rollback_fails_too(things_dsn: str, things: Database) -> None:
    async def refuse() -> None:
        async with transaction(things) as cur:
            await execute(cur, "SELECT 1")
            terminate(things_dsn)
            raise NotFoundError

    with pytest.raises(NotFoundError):
        await refuse()
    assert await ask(things) == [{"one": 1}]


async def test_a_read_only_database_is_unavailable_and_its_connections_are_replaced(
    things_dsn: str, things: Database
) -> None:
    async def insert() -> None:
        await ask(things, "INSERT INTO thing VALUES (1) RETURNING id")

    pid = await backend(things)
    (database,) = run(things_dsn, "SELECT current_database() AS name")
    run(things_dsn, f"ALTER DATABASE {database['name']} SET default_transaction_read_only = on")
    terminate(things_dsn)
    await eventually(lambda: answers(things))
    with pytest.raises(DatabaseUnavailableError, match="read-only"):
        await insert()
    writable = make_dsn(things_dsn, options="-c default_transaction_read_only=off")
    run(writable, f"ALTER DATABASE {database['name']} RESET default_transaction_read_only")
    await insert()
    assert await backend(things) != pid


@pytest.fixture
def many_open_files() -> Iterator[None]:
    """Take every file number that select() knows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(2_048, hard)), hard))
    with ExitStack() as stack:
        number = 0
        while number < SELECT_TAKES:
            number = os.dup(0)
            stack.callback(os.close, number)
        yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_open_files")
async def test_a_process_with_many_open_files_notices_a_broken_connection(
    things_dsn: str, open_database: OpenDatabase
) -> None:
    async with proxied_database(things_dsn) as (proxy, dsn):
        db = open_database(dsn, db_statement_timeout_seconds=AN_HOUR)
        asking = create_task(ask(db, "SELECT pg_sleep(3600)"), name="asking")
        await eventually(lambda: is_asleep(things_dsn))
        await proxy.reset()
        with pytest.raises(DatabaseUnavailableError):
            await asking
