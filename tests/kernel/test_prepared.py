"""Statements that each connection prepares once."""

from collections.abc import AsyncIterator
from typing import Final

import psycopg2
import pytest

from tests.support.kernel.quick_settings import quick_settings
from tocsin.kernel.db import Cursor, Database, autocommit, fetch_all, fetch_one, transaction
from tocsin.kernel.errors import DataRefusedError
from tocsin.kernel.prepared import PreparedStatement

HALF: Final = PreparedStatement(
    "half", "SELECT 100 / %(divisor)s AS half, %(name)s AS name", divisor="int", name="text"
)
BROKEN: Final = PreparedStatement("broken", "SELECT absent FROM pg_class WHERE relname = %(name)s", name="text")


@pytest.fixture
async def db(db_dsn: str) -> AsyncIterator[Database]:
    database = Database(quick_settings(db_dsn).database_config(), schema="alerts")
    yield database
    await database.close()


async def prepared(cur: Cursor) -> list[str]:
    return [row["name"] for row in await fetch_all(cur, "SELECT name FROM pg_prepared_statements")]


async def test_a_statement_is_prepared_once_on_each_connection(db: Database) -> None:
    async with autocommit(db) as cur, autocommit(db) as other:
        for divisor, half in ((2, 50), (4, 25)):
            assert await fetch_one(cur, HALF, divisor=divisor, name="a 'name'") == {"half": half, "name": "a 'name'"}
        assert await prepared(cur) == ["half"]
        assert await prepared(other) == []
        assert await fetch_one(other, HALF, divisor=2, name=None) == {"half": 50, "name": None}


async def test_a_prepared_statement_outlives_the_transaction_that_prepared_it(db: Database) -> None:
    with pytest.raises(DataRefusedError):
        async with transaction(db) as cur:
            await fetch_one(cur, HALF, divisor=0, name="")
    async with autocommit(db) as cur:
        assert await prepared(cur) == ["half"]
        assert await fetch_one(cur, HALF, divisor=2, name="") == {"half": 50, "name": ""}


async def test_a_statement_that_cannot_be_prepared_fails_each_time(db: Database) -> None:
    async with autocommit(db) as cur:
        for _ in range(2):
            with pytest.raises(psycopg2.errors.UndefinedColumn):
                await fetch_one(cur, BROKEN, name="")
