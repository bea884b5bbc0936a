"""The database: a pool of connections, transactions, statements.

What is promised here, beyond the driver (each has a test):

* An error swallowed in a transaction turns COMMIT into ROLLBACK without a word: `transaction` looks at the tag.
* A lost answer to COMMIT leaves the outcome unknown: callers make their ids before the first try and repeat with them.
* Names are resolved by the event loop, and their addresses tried one after the other (`addresses`).
* aiopg's own pool connects one at a time under a lock, so that a dead route makes every waiter wait for the sum of the
  time-outs: the pool here connects side by side and, once a connect has failed, fails everybody at once for a moment.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any, Final, TypeAlias

import aiopg
import psycopg2
import structlog
from aiohttp import web
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, make_dsn, parse_dsn
from psycopg2.extras import Json as Json  # noqa: PLC0414 - the project's one way to pass a JSON document
from psycopg2.extras import RealDictCursor, register_uuid

from tocsin.kernel import clock
from tocsin.kernel.connection import Connection, connect
from tocsin.kernel.dns import addresses
from tocsin.kernel.errors import (
    CommitLostError,
    DatabaseUnavailableError,
    LockTimeoutError,
    NotFoundError,
    StatementTimeoutError,
    TransactionConflictError,
    UnavailableError,
)
from tocsin.kernel.settings import ServiceSettings

register_uuid()  # type: ignore[no-untyped-call]
log = structlog.get_logger(__name__)

Row: TypeAlias = dict[str, Any]
Cursor: TypeAlias = aiopg.Cursor
BREAKER_SECONDS: Final = 0.25
"""For how long a failed connect makes further ones fail at once."""
SOCKET_TIMEOUT_MS: Final = 2_000
AWAY: Final = "The database does not answer; try again in a moment."
TOO_LONG: Final = "The database took too long; try again in a moment."


def check_dsn(dsn: str) -> None:
    """Raise ValueError where libpq cannot parse *dsn*. What libpq says is left out: it quotes passwords."""
    try:
        ports = parse_dsn(dsn).get("port", "").split(",")
    except psycopg2.ProgrammingError:
        ports = ["-"]
    if not all(port == "" or (port.isascii() and port.isdigit()) for port in ports):
        msg = "not a PostgreSQL address such as postgresql://user:password@host:5432/name"
        raise ValueError(msg)


class Database:
    """A pool of connections to one database, for one service's schema."""

    def __init__(self, settings: ServiceSettings, *, schema: str) -> None:
        self._dsn = parse_dsn(settings.database_url.get_secret_value())
        self._schema = schema
        self._connect_timeout = settings.db_connect_timeout_seconds
        self._statement_timeout = settings.db_statement_timeout_seconds
        self._lock_timeout = settings.db_lock_timeout_seconds
        self._slots = asyncio.Semaphore(settings.db_pool_size)
        self._idle: deque[Connection] = deque()
        self._broken_until = 0.0
        self._closed = False
        self.clock_offset = timedelta()
        """By how much tocsin.now() differs from the server's clock on this database's connections."""
        self.size: Final = settings.db_pool_size
        self.in_use = 0
        self.answered_at = 0.0
        """When a connection was last given back in good order, by the monotonic clock."""

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection; one that breaks is thrown away. Raise DatabaseUnavailableError where none can be had."""
        try:
            async with asyncio.timeout(self._statement_timeout):
                await self._slots.acquire()
        except TimeoutError:
            msg = "All database connections are in use; try again in a moment."
            raise DatabaseUnavailableError(msg) from None
        conn: Connection | None = None
        self.in_use += 1
        try:
            with closed_by_server():
                conn = self._usable() or await self.connect()
                await self._set_clock(conn)
                yield conn
        except DatabaseUnavailableError:
            if conn is not None:  # also one that answers, but has become read-only: the next try finds the new primary
                _ = conn.close()
            raise
        finally:
            self.in_use -= 1
            self._slots.release()
            if conn is not None:
                self._give_back(conn)

    async def connect(self) -> Connection:
        """Open a connection outside the pool, for LISTEN; the caller closes it."""
        if clock.monotonic() < self._broken_until:
            raise DatabaseUnavailableError(AWAY)
        try:
            return await self._connect_any()
        except DatabaseUnavailableError:
            self._broken_until = clock.monotonic() + BREAKER_SECONDS
            raise

    def set_clock_offset(self, offset: timedelta) -> None:
        """Move tocsin.now() by *offset* from the server's clock, on present and later connections; for tests only."""
        self.clock_offset = offset

    async def close(self) -> None:
        """Close every idle connection. Those on loan close when they are given back."""
        self._closed = True
        while self._idle:
            await self._idle.pop().close()

    async def _set_clock(self, conn: Connection) -> None:
        if conn.clock_offset != self.clock_offset:
            async with conn.cursor() as cur:
                seconds = f"{self.clock_offset.total_seconds()}s"
                await execute(cur, "SELECT set_config('tocsin.clock_offset', %(seconds)s, false)", seconds=seconds)
            conn.clock_offset = self.clock_offset

    def _usable(self) -> Connection | None:
        while self._idle:
            conn = self._idle.pop()
            if not conn.closed:
                return conn
        return None

    def _give_back(self, conn: Connection) -> None:
        if conn.closed:
            return
        clean = not conn.isexecuting() and conn.raw.info.transaction_status == TRANSACTION_STATUS_IDLE
        if clean and not self._closed:
            self._idle.append(conn)
            self.answered_at = clock.monotonic()
        else:
            _ = conn.close()  # done at once; what it returns is for awaiting callers

    async def _connect_any(self) -> Connection:
        failures: list[str] = []
        for address in await addresses(self._dsn, self._connect_timeout):
            try:
                return await self._connect_one(address)
            except (psycopg2.Error, TimeoutError, OSError) as exc:
                failures.append(str(exc).strip().splitlines()[-1] if str(exc) else type(exc).__name__)
        log.warning("database unreachable", reasons=failures)
        raise DatabaseUnavailableError(AWAY)

    async def _connect_one(self, address: dict[str, str]) -> Connection:
        options = (
            f"-c search_path={self._schema} -c timezone=UTC"
            f" -c statement_timeout={round(self._statement_timeout * 1000)}"
            f" -c lock_timeout={round(self._lock_timeout * 1000)}"
            f" -c idle_in_transaction_session_timeout={round(self._statement_timeout * 2000)}"
            # Otherwise the server keeps the sessions of a client that was cut off for two hours.
            " -c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=2"
        )
        given = self._dsn.get("options", "")
        dsn = make_dsn(
            **{
                **self._dsn,
                **address,
                "application_name": f"tocsin-{self._schema}",
                "client_encoding": "UTF8",
                "keepalives_idle": "5",
                "keepalives_interval": "2",
                "keepalives_count": "2",
                "tcp_user_timeout": str(SOCKET_TIMEOUT_MS),
                "options": f"{given} {options}".strip(),
            }
        )
        # The client waits longer than the server: its own time-out would leave the statement running.
        return await connect(dsn, connect_timeout=self._connect_timeout, statement_timeout=self._statement_timeout + 1)


@contextmanager
def closed_by_server() -> Iterator[None]:
    """Turn the driver's ways of saying "the database is away" into one error. Others pass: they are bugs."""
    try:
        yield
    except psycopg2.errors.LockNotAvailable as exc:
        raise LockTimeoutError(TOO_LONG) from exc
    except psycopg2.errors.QueryCanceled as exc:
        raise StatementTimeoutError(TOO_LONG) from exc
    except (psycopg2.errors.DeadlockDetected, psycopg2.errors.SerializationFailure) as exc:
        msg = "Two changes met at the same place; try again."
        raise TransactionConflictError(msg) from exc
    except psycopg2.errors.ReadOnlySqlTransaction as exc:
        msg = "The database takes no changes at the moment; try again in a moment."
        raise DatabaseUnavailableError(msg) from exc
    except psycopg2.errors.DiskFull as exc:
        msg = "The database's disk is full: it takes no changes until there is room; try again in a moment."
        log.warning("the database's disk is full", reason=str(exc).strip())
        raise DatabaseUnavailableError(msg) from exc
    except (psycopg2.OperationalError, psycopg2.InterfaceError) as exc:
        if isinstance(exc, psycopg2.errors.ProgramLimitExceeded):
            raise  # a value too large for an index: no repeat will help
        msg = "The database broke off; try again in a moment."
        raise DatabaseUnavailableError(msg) from exc


@asynccontextmanager
async def transaction(db: Database) -> AsyncIterator[Cursor]:
    """Yield a cursor inside BEGIN and COMMIT; any exception rolls back.

    Raise DatabaseUnavailableError where the database is away: then a write's outcome is unknown, and a repeat must use
    the same ids.
    """
    async with db.connection() as conn, conn.cursor(cursor_factory=RealDictCursor) as cur:
        await execute(cur, "BEGIN")
        try:
            yield cur
        except Exception:
            await _roll_back(conn, cur)
            raise
        await execute(cur, "COMMIT")
        if cur.statusmessage != "COMMIT":
            msg = "The transaction was rolled back at its end: an error inside it was swallowed."
            raise CommitLostError(msg)


async def _roll_back(conn: Connection, cur: Cursor) -> None:
    """End the transaction; where that fails, the connection ends, and the first error is the one to tell."""
    if conn.closed or cur.closed or conn.isexecuting():
        return
    try:
        await execute(cur, "ROLLBACK")
    except (psycopg2.Error, UnavailableError) as exc:
        log.info("connection thrown away: it could not roll back", reason=str(exc))
        _ = conn.close()


@asynccontextmanager
async def autocommit(db: Database) -> AsyncIterator[Cursor]:
    """Yield a cursor whose every statement is a transaction of its own: two round trips less, where one is enough.

    Raise DatabaseUnavailableError as `transaction` does.
    """
    async with db.connection() as conn, conn.cursor(cursor_factory=RealDictCursor) as cur:
        yield cur


async def execute(cur: Cursor, sql: str, **params: Any) -> int:
    """Run one statement; return how many rows it touched."""
    try:
        await cur.execute(sql, params or None)  # None: a literal % stays a %
    except (TimeoutError, OSError) as exc:
        raise DatabaseUnavailableError(AWAY) from exc
    return int(cur.rowcount)


async def fetch_all(cur: Cursor, sql: str, **params: Any) -> list[Row]:
    """Run one statement; return its rows."""
    await execute(cur, sql, **params)
    return list(await cur.fetchall())


async def fetch_one(cur: Cursor, sql: str, **params: Any) -> Row | None:
    """Run one statement; return its first row, or None."""
    await execute(cur, sql, **params)
    row: Row | None = await cur.fetchone()
    return row


def required(row: Row | None, message: str = "There is no such thing.") -> Row:
    """Return *row*; raise NotFoundError with *message* where there is none."""
    if row is None:
        raise NotFoundError(message)
    return row


DB = web.AppKey("DB", Database)


async def database(app: web.Application) -> AsyncIterator[None]:
    """Keep `app[DB]` while the application runs (a cleanup context); connects when it is first needed."""
    yield
    await app[DB].close()
