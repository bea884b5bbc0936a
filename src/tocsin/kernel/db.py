"""The database: a pool of connections, transactions, statements.

Guarantees beyond the driver's (each has a test):

* An error swallowed inside a transaction silently turns COMMIT into ROLLBACK: `transaction` checks the command tag.
* When the connection is lost during COMMIT the outcome is unknown: callers create ids before the first try and retry
  with the same ids.
* The event loop resolves host names, and their addresses are tried in turn (`addresses`).
* aiopg's pool connects one at a time under a lock, so that with an unreachable server each caller waits for the sum of
  all time-outs. This pool connects concurrently, and a failed connect fails the next ones immediately for a moment.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final, TypeAlias

import aiopg
import psycopg2
import structlog
from aiohttp import web
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, make_dsn, parse_dsn
from psycopg2.extras import Json as Json  # noqa: PLC0414 - the project's one way to pass a JSON document
from psycopg2.extras import register_uuid

from tocsin.kernel import clock, tasks
from tocsin.kernel.connection import Connection, connect
from tocsin.kernel.database_config import DatabaseConfig
from tocsin.kernel.database_errors import translated_errors
from tocsin.kernel.dns import addresses
from tocsin.kernel.errors import CommitLostError, DatabaseUnavailableError, NotFoundError, UnavailableError
from tocsin.kernel.prepared import PreparedStatement

register_uuid()  # type: ignore[no-untyped-call]
log = structlog.get_logger(__name__)

Row: TypeAlias = dict[str, Any]
Cursor: TypeAlias = aiopg.Cursor
BREAKER_SECONDS: Final = 0.25
"""How long further connects fail immediately after a failed one."""
SOCKET_TIMEOUT_MS: Final = 2_000
"""How long sent data may remain unacknowledged before the connection counts as lost (TCP_USER_TIMEOUT)."""
UNREACHABLE: Final = "The database cannot be reached; try again in a moment."


class Database:
    """A pool of connections to one database, for one service's schema."""

    def __init__(self, config: DatabaseConfig, *, schema: str) -> None:
        self._dsn = parse_dsn(config.dsn)
        self._schema = schema
        self._config = config
        self._slots = asyncio.Semaphore(config.pool_size)
        self._idle: deque[Connection] = deque()
        self._broken_until = 0.0
        self._closed = False
        self.clock_offset = timedelta()
        """The difference between tocsin.now() and the server's clock on this database's connections."""
        self.size: Final = config.pool_size
        """The maximum number of connections."""
        self.in_use = 0
        """Connections on loan."""
        self.last_used_at = 0.0
        """When a working connection was last returned, by the monotonic clock."""

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection, and close it if it breaks. Raise DatabaseUnavailableError if none is available."""
        try:
            async with tasks.timeout(self._config.statement_timeout):
                await self._slots.acquire()
        except TimeoutError:
            msg = "All database connections are in use; try again in a moment."
            raise DatabaseUnavailableError(msg) from None
        conn: Connection | None = None
        self.in_use += 1
        try:
            with translated_errors():
                conn = self._take_idle() or await self.connect()
                await self._set_clock(conn)
                yield conn
        except DatabaseUnavailableError:
            if conn is not None:  # a read-only one is closed too: the next connect finds the new primary
                _ = conn.close()
            raise
        finally:
            self.in_use -= 1
            self._slots.release()
            if conn is not None:
                self._return(conn)

    async def connect(self) -> Connection:
        """Open a connection outside the pool, for LISTEN; the caller closes it."""
        if clock.monotonic() < self._broken_until:
            raise DatabaseUnavailableError(UNREACHABLE)
        try:
            return await self._connect_any()
        except DatabaseUnavailableError:
            self._broken_until = clock.monotonic() + BREAKER_SECONDS
            raise

    def set_clock_offset(self, offset: timedelta) -> None:
        """Move tocsin.now() by *offset* from the server's clock, on present and later connections; for tests only."""
        self.clock_offset = offset

    async def close(self) -> None:
        """Close every idle connection. Connections on loan are closed when they are returned."""
        self._closed = True
        while self._idle:
            await self._idle.pop().close()

    async def _set_clock(self, conn: Connection) -> None:
        if conn.clock_offset != self.clock_offset:
            async with conn.cursor() as cur:
                seconds = f"{self.clock_offset.total_seconds()}s"
                await execute(cur, "SELECT set_config('tocsin.clock_offset', %(seconds)s, false)", seconds=seconds)
            conn.clock_offset = self.clock_offset

    def _take_idle(self) -> Connection | None:
        while self._idle:
            conn = self._idle.pop()
            if not conn.closed:
                return conn
        return None

    def _return(self, conn: Connection) -> None:
        if conn.closed:
            return
        conn.deferred.clear()  # of a cancelled caller
        if not conn.isexecuting() and _is_idle(conn) and not self._closed:
            self._idle.append(conn)
            self.last_used_at = clock.monotonic()
        else:
            _ = conn.close()  # closes immediately; the awaitable it returns is not needed

    async def _connect_any(self) -> Connection:
        failures: list[str] = []
        for address in await addresses(self._dsn, self._config.connect_timeout):
            try:
                return await self._connect_one(address)
            except (psycopg2.Error, TimeoutError, OSError) as exc:
                failures.append(str(exc).strip().splitlines()[-1] if str(exc) else type(exc).__name__)
        log.warning("database unreachable", reasons=failures)
        raise DatabaseUnavailableError(UNREACHABLE)

    async def _connect_one(self, address: dict[str, str]) -> Connection:
        options = (
            f"-c search_path={self._schema} -c timezone=UTC"
            f" -c statement_timeout={round(self._config.statement_timeout * 1000)}"
            f" -c lock_timeout={round(self._config.lock_timeout * 1000)}"
            f" -c idle_in_transaction_session_timeout={round(self._config.statement_timeout * 2000)}"
            # A statement reads a few rows of each partition through an index: workers would take longer to start.
            " -c max_parallel_workers_per_gather=0"
            # By default the server keeps the sessions of a disconnected client for two hours.
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
        # The client's time-out is the longer one: only the server's ends the statement, the client's leaves it running.
        return await connect(
            dsn, connect_timeout=self._config.connect_timeout, statement_timeout=self._config.statement_timeout + 1
        )


@asynccontextmanager
async def transaction(db: Database) -> AsyncIterator[Cursor]:
    """Yield a cursor inside BEGIN and COMMIT; any exception rolls back.

    BEGIN and statements passed to `defer` are sent together with the next statement that is not deferred. Raise
    DatabaseUnavailableError if the connection is lost: the outcome of a write is then unknown, and a retry must use the
    same ids.
    """
    async with db.connection() as conn, conn.cursor() as cur:
        await defer(cur, "BEGIN")
        try:
            yield cur
            await execute(cur, "COMMIT")
        except Exception:
            await _roll_back(conn, cur)
            raise
        if cur.statusmessage != "COMMIT":
            msg = "The transaction was rolled back at its end: an error inside it was swallowed."
            raise CommitLostError(msg)


async def _roll_back(conn: Connection, cur: Cursor) -> None:
    """Roll back; close the connection if that fails, so that the caller sees the first error."""
    conn.deferred.clear()
    if conn.closed or cur.closed or conn.isexecuting() or _is_idle(conn):
        return
    try:
        await execute(cur, "ROLLBACK")
    except (psycopg2.Error, UnavailableError) as exc:
        log.info("connection closed because its rollback failed", reason=str(exc))
        _ = conn.close()


def _is_idle(conn: Connection) -> bool:
    """Return whether the connection is not in a transaction."""
    return bool(conn.raw.info.transaction_status == TRANSACTION_STATUS_IDLE)


@asynccontextmanager
async def autocommit(db: Database) -> AsyncIterator[Cursor]:
    """Yield a cursor that commits each statement, together with those deferred before it, in the same round trip.

    Raise DatabaseUnavailableError as `transaction` does.
    """
    async with db.connection() as conn, conn.cursor() as cur:
        yield cur
        if conn.deferred:
            msg = "a deferred statement is sent with the next one, and there is none"
            raise RuntimeError(msg)


async def defer(cur: Cursor, sql: str | PreparedStatement, **params: Any) -> None:
    """Send a statement, whose result is not needed, in one message with the next: this saves a round trip.

    The server runs them in order, each on a snapshot of its own. An error is raised by the call that sends them.
    """
    _deferred(cur).append(await _literal(cur, sql, params))


async def execute(cur: Cursor, sql: str | PreparedStatement, **params: Any) -> int:
    """Run a statement; return the number of affected rows."""
    try:
        literal = await _literal(cur, sql, params)
        deferred = _deferred(cur)
        message = b"\n;\n".join([*deferred, literal])
        deferred.clear()
        await cur.execute(message)  # type: ignore[arg-type] # psycopg2 takes bytes, which aiopg does not declare
    except (TimeoutError, OSError) as exc:
        raise DatabaseUnavailableError(UNREACHABLE) from exc
    return int(cur.rowcount)


def _deferred(cur: Cursor) -> list[bytes]:
    conn: Any = cur.connection  # the pool's own class, which aiopg does not know
    deferred: list[bytes] = conn.deferred
    return deferred


async def _literal(cur: Cursor, sql: str | PreparedStatement, params: dict[str, Any]) -> bytes:
    """Return the statement with its parameters in it."""
    if isinstance(sql, PreparedStatement):
        sql = await sql.prepare(cur)
    return cur.mogrify(sql, params or None)  # None: psycopg2 leaves a literal % alone


async def fetch_all(cur: Cursor, sql: str | PreparedStatement, **params: Any) -> list[Row]:
    """Run a statement; return its rows."""
    await execute(cur, sql, **params)
    names = [column.name for column in cur.description or ()]
    return [dict(zip(names, row, strict=True)) for row in await cur.fetchall()]


async def fetch_one(cur: Cursor, sql: str | PreparedStatement, **params: Any) -> Row | None:
    """Run a statement; return its first row, or None."""
    rows = await fetch_all(cur, sql, **params)
    return rows[0] if rows else None


def required(row: Row | None, message: str = "This resource does not exist.") -> Row:
    """Return *row*; raise NotFoundError with *message* if it is None."""
    if row is None:
        raise NotFoundError(message)
    return row


DB = web.AppKey("DB", Database)


async def database(app: web.Application) -> AsyncIterator[None]:
    """Close `app[DB]` when the application stops (a cleanup context); the first use connects."""
    yield
    await app[DB].close()
