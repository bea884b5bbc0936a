"""A table that another session locks, as a migration or a maintenance command does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any

import psycopg2

from tests.support.postgres import run
from tests.support.waiting import NotYet, eventually


class TableLock:
    """The lock of one table, held until the end of its block."""

    def __init__(self, dsn: str, table: str) -> None:
        self._dsn = dsn
        self._table = table
        self._waits: set[Any] = set()

    def waits(self) -> int:
        """Return how many waits for the lock have been seen; a statement that is tried again waits again."""
        sql = "SELECT waitstart FROM pg_locks WHERE relation = %(table)s::regclass AND NOT granted"
        self._waits |= {row["waitstart"] for row in run(self._dsn, sql, {"table": self._table}) if row["waitstart"]}
        return len(self._waits)

    async def waited(self, times: int) -> None:
        """Wait until *times* statements have waited for the lock."""

        async def enough() -> bool | NotYet:
            seen = await asyncio.to_thread(self.waits)
            return seen >= times or NotYet(f"{seen} statements have waited for {self._table}")

        await eventually(enough)


@asynccontextmanager
async def locked(dsn: str, table: str) -> AsyncIterator[TableLock]:
    """Lock *table* against readers and writers until the end of the block."""
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        # Beside the loop: a session on it may hold a lock that this one waits for.
        await asyncio.to_thread(cursor.execute, f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        try:
            yield TableLock(dsn, table)
        finally:
            connection.rollback()
