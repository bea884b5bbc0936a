"""Statements that are sent together with the next one."""

import asyncio
from typing import Final

import psycopg2
import pytest

from tests.support.kernel.sessions import backend
from tests.support.postgres import run
from tocsin.kernel.db import Database, autocommit, defer, execute, fetch_all, transaction
from tocsin.kernel.errors import DataRefusedError
from tocsin.kernel.tasks import create_task

INSERT: Final = "INSERT INTO thing VALUES (%(id)s, %(name)s) -- ends in a comment"


class AbandonedError(Exception):
    """Ends a caller."""


async def ids(db: Database) -> list[int]:
    async with autocommit(db) as cur:
        return [row["id"] for row in await fetch_all(cur, "SELECT id FROM thing ORDER BY id")]


async def test_deferred_statements_run_in_order_before_the_next_one(things: Database) -> None:
    async with transaction(things) as cur:
        await defer(cur, INSERT, id=1, name="100 %")
        await defer(cur, "UPDATE thing SET name = name || ' sure'")
        assert await fetch_all(cur, "SELECT id, name FROM thing") == [{"id": 1, "name": "100 % sure"}]


async def test_a_transaction_sends_what_is_deferred_with_its_commit(things: Database, things_dsn: str) -> None:
    async with transaction(things) as cur:
        await defer(cur, INSERT, id=1, name="one")
        await defer(cur, INSERT, id=2, name="two")
        busy = (
            "SELECT count(*)::int AS busy FROM pg_stat_activity WHERE state <> 'idle' AND datname = current_database()"
        )
        assert run(things_dsn, busy) == [{"busy": 1}], "only this query: nothing was sent"
    assert await ids(things) == [1, 2]


async def test_without_a_transaction_the_statements_of_one_message_commit_together(things: Database) -> None:
    async with autocommit(things) as cur:
        await defer(cur, INSERT, id=1, name="one")
        await execute(cur, INSERT, id=2, name="two")
    assert await ids(things) == [1, 2]

    async def fail() -> None:
        async with autocommit(things) as cur:
            await defer(cur, INSERT, id=3, name="three")
            await execute(cur, INSERT, id=1, name="again")

    with pytest.raises(DataRefusedError):
        await fail()
    assert await ids(things) == [1, 2]


async def test_an_error_of_a_deferred_statement_is_raised_by_the_next_one_or_the_commit(things: Database) -> None:
    async def fail(*, at_commit: bool) -> None:
        async with transaction(things) as cur:
            await execute(cur, INSERT, id=1, name="one")
            await defer(cur, INSERT, id=1, name="again")
            if not at_commit:
                with pytest.raises(psycopg2.errors.UniqueViolation):
                    await fetch_all(cur, "SELECT id FROM thing")
                raise AbandonedError

    pid = await backend(things)
    with pytest.raises(AbandonedError):
        await fail(at_commit=False)
    with pytest.raises(DataRefusedError):
        await fail(at_commit=True)
    assert await ids(things) == []
    assert await backend(things) == pid, "rolled back, and used again"


async def test_what_a_caller_deferred_before_it_failed_is_not_sent_by_the_next_caller(things: Database) -> None:
    async def fail() -> None:
        async with transaction(things) as cur:
            await defer(cur, INSERT, id=1, name="one")
            raise AbandonedError

    with pytest.raises(AbandonedError):
        await fail()
    assert await ids(things) == []


async def test_what_a_caller_deferred_before_it_was_cancelled_is_not_sent_by_the_next_caller(things: Database) -> None:
    deferred = asyncio.Event()

    async def wait_for_ever() -> None:
        async with transaction(things) as cur:
            await defer(cur, INSERT, id=1, name="one")
            deferred.set()
            await asyncio.Event().wait()

    waiting = create_task(wait_for_ever(), name="waiting")
    await deferred.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await ids(things) == []


async def test_a_deferred_statement_that_nothing_sends_is_an_error(things: Database) -> None:
    with pytest.raises(RuntimeError, match="there is none"):
        async with autocommit(things) as cur:
            await defer(cur, INSERT, id=1, name="one")
    assert await ids(things) == []
