"""Sessions of a database: to use, count and end them."""

import struct
from typing import Final

from tests.support.postgres import run
from tocsin.kernel.db import Database, fetch_all, transaction
from tocsin.kernel.errors import DatabaseUnavailableError

FATAL: Final = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"
ENDED: Final = b"E" + struct.pack("!i", len(FATAL) + 4) + FATAL
"""The message with which the server ends a session."""
OURS: Final = "pg_stat_activity WHERE application_name = 'tocsin-things' AND datname = current_database()"
"""The sessions of the service; other tests may use the same server."""


async def ask(db: Database, sql: str = "SELECT 1 AS one") -> list[dict[str, object]]:
    async with transaction(db) as cur:
        return [dict(row) for row in await fetch_all(cur, sql)]


async def backend(db: Database) -> int:
    (row,) = await ask(db, "SELECT pg_backend_pid() AS pid")
    return int(str(row["pid"]))


def connections(dsn: str) -> int:
    (row,) = run(dsn, f"SELECT count(*) AS n FROM {OURS}")
    return int(row["n"])


def is_asleep(dsn: str) -> bool:
    asleep = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
    return bool(run(dsn, asleep))


def terminate(dsn: str) -> None:
    run(dsn, f"SELECT pg_terminate_backend(pid) FROM {OURS}")


async def answers(db: Database) -> bool:
    try:
        return await ask(db) == [{"one": 1}]
    except DatabaseUnavailableError:
        return False
