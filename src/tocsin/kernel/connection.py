"""A connection to PostgreSQL: aiopg's, with its defects corrected.

aiopg 1.4 on psycopg2 is a requirement of the project, and is no longer developed. The members overridden here are
private to it; each defect has a test:

* It watches the first socket that libpq opens, and libpq may open another while it connects.
* When libpq closes a broken socket, aiopg can leave a reader or a writer registered: uvloop then refuses the next
  socket with that number, and no connection succeeds again. aiopg detects this with select(), which fails above 1023.
* It polls libpq once per ready socket. libpq may need a second poll to notice that the server closed the connection,
  and uvloop reports a socket's error only once: a waiting statement would end only at its time-out, 30 seconds later.
* It waits with asyncio.wait_for, which before Python 3.12 loses a cancellation that arrives together with the result.
* It reports the server's statement_timeout as a cancellation.
"""

import asyncio
import select
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

import aiopg
import psycopg2
from psycopg2.extensions import POLL_ERROR, POLL_OK, POLL_WRITE

from tocsin.kernel import tasks

CONNECTION_BAD: Final = 1
"""libpq's status of a lost connection, which psycopg2 does not always notice."""


class Connection(aiopg.Connection):
    """A connection that notices every event of its socket."""

    _connected = False
    clock_offset = timedelta()
    """The offset that `Database` has set on this connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.prepared: set[str] = set()
        """The names of the statements prepared on this connection."""
        self.deferred: list[bytes] = []
        """Statements that are sent together with the next one."""

    @staticmethod
    def _ready(weak_self: Any) -> None:
        connection = weak_self()
        if connection is not None:
            connection.advance()

    def advance(self) -> None:
        """Let libpq read and write what it can; called when the socket is ready."""
        try:
            state = self._poll_libpq()
            while state != POLL_OK and self._connected and self._has_hung_up():
                state = self._poll_libpq()
        except psycopg2.Error as exc:
            self._finish_wait(exc)
            if self._conn.closed or self._conn.info.status == CONNECTION_BAD:
                self._notifies_proxy.close(exc)
                self._close()
            return
        while self._conn.notifies:
            self._notifies.put_nowait(self._conn.notifies.pop(0))
        if not self._connected:
            self._unwatch()
            self._fileno = self._conn.fileno()
            self._loop.add_reader(self._fileno, self._ready, self._weakref)
        self._watch_for_writing(wanted=state == POLL_WRITE)
        if state == POLL_OK:
            self._connected = True
            self._finish_wait(None)
            if self._has_hung_up():
                self.advance()  # the result is delivered, but the disconnect is not handled yet

    def _poll_libpq(self) -> int:
        state: int = self._conn.poll()
        if state == POLL_ERROR:
            msg = "libpq reports an error without a message"
            raise psycopg2.OperationalError(msg)
        return state

    def _has_hung_up(self) -> bool:
        """Return whether the server closed the connection; if so, another poll makes libpq read the rest."""
        if self._conn.closed or self._conn.fileno() < 0:
            return True
        watch = select.poll()
        watch.register(self._conn.fileno(), 0)  # errors and hang-ups are always reported
        return bool(watch.poll(0))

    def _finish_wait(self, exc: psycopg2.Error | None) -> None:
        if self._waiter is None or self._waiter.done():
            return
        if exc is None:
            self._waiter.set_result(None)
        else:
            self._waiter.set_exception(exc)

    async def _poll(self, waiter: asyncio.Future[None], timeout: float) -> None:  # noqa: ASYNC109 - aiopg's signature
        self.advance()
        try:
            async with tasks.timeout(timeout):
                await waiter
        except (asyncio.CancelledError, TimeoutError):
            self._close()
            raise
        finally:
            self._waiter = None

    def _close(self) -> None:
        self._unwatch()
        super()._close()

    def _watch_for_writing(self, *, wanted: bool) -> None:
        if self._fileno is not None and wanted != self._writing:
            self._writing = wanted
            if wanted:
                self._loop.add_writer(self._fileno, self._ready, self._weakref)
            else:
                self._loop.remove_writer(self._fileno)

    def _unwatch(self) -> None:
        if self._fileno is not None:
            for remove in (self._loop.remove_writer, self._loop.remove_reader):
                with suppress(OSError):  # libpq may have closed the socket already
                    remove(self._fileno)
        self._fileno = None
        self._writing = False


async def connect(dsn: str, *, connect_timeout: float, statement_timeout: float) -> Connection:
    """Open a connection with a time-out per statement. Raise psycopg2.Error, TimeoutError or OSError."""
    connection = Connection(dsn, statement_timeout, enable_json=False, enable_hstore=False, enable_uuid=False)
    async with tasks.timeout(connect_timeout):
        _ = await connection  # returns the connection itself
    return connection
