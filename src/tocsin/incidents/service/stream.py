"""The stream of changes: one reader of the database per process, however many clients follow.

The hub keeps the newest events in memory, with the position from which it has all of them. A client is a position: what
it lacks comes from there, or from the database where it is further behind, so that it can resume on any replica. A
client holds nothing in memory but the socket's own buffer; one that does not read is cut by the time-out of its send.
"""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import structlog
from aiohttp import web
from prometheus_client import Gauge

from tocsin.incidents.domain.position import Position
from tocsin.incidents.repository import stream
from tocsin.incidents.repository.stream import Event
from tocsin.kernel.db import Database, transaction
from tocsin.kernel.errors import UnavailableError
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.workers import Wakeup

log = structlog.get_logger(__name__)
READ: Final = Failpoint("incidents.read_stream")
PAGE: Final = 500
"""Events read at once."""
LOOK_SECONDS: Final = 5.0
"""How often a client that gets nothing is asked whether it is still there."""
SETTLE_SECONDS: Final = 0.02
"""How soon to look again while events wait for an older transaction to end; doubles up to the poll's interval."""


class Hub:
    """What the clients of one process follow."""

    def __init__(self, db: Database, clients: Gauge, *, buffer: int, poll_seconds: float) -> None:
        self._db = db
        self._clients = clients
        self._buffer = buffer
        self._poll_seconds = poll_seconds
        self._followers = 0
        self._complete_after: Position | None = None
        """`_events` has everything after this; None while nobody follows."""
        self._events: list[Event] = []
        self._news = asyncio.Event()
        self._rounds_waited = 0
        self._closed = False
        self.wakeup = Wakeup()

    async def tick(self, _app: web.Application) -> bool | float:
        """Read what is new, as long as anybody follows; the worker's round."""
        if not self._followers:
            self._complete_after = None
            self._events = []
            return False
        async with READ(), transaction(self._db) as cur:
            if self._complete_after is None:
                self._complete_after = await stream.select_position(cur)
                self._announce()  # whoever looked just before this may lack what came since
            after = self._events[-1].position if self._events else self._complete_after
            found, unsettled = await stream.select_events(cur, after, limit=PAGE)
        self._publish(found)
        self._rounds_waited = self._rounds_waited + 1 if unsettled and not found else 0
        if unsettled and not found:
            return min(self._poll_seconds, SETTLE_SECONDS * 2.0 ** min(self._rounds_waited, 30))
        return unsettled or len(found) == PAGE

    async def position(self, given: Position | None) -> Position:
        """Return where a client goes on that has everything up to *given*; without that, where the stream stands.

        Beyond the stream's end nobody was ever, but in a database that is no more: a restored one starts lower.
        """
        try:
            async with transaction(self._db) as cur:
                standing = await stream.select_position(cur)
        except UnavailableError:
            if given is None:
                raise
            return given
        return standing if given is None else min(given, standing)

    async def follow(self, position: Position, connected: Callable[[], bool]) -> AsyncGenerator[Event, None]:
        """Yield every change after *position*, in order, until the client is gone or the process stops."""
        with self._following():
            while connected() and not self._closed:
                news = self._news
                try:
                    events = await self._after(position)
                except UnavailableError as exc:
                    log.warning("stream waits for the database", reason=str(exc))
                    events = []
                for event in events:
                    yield event
                    position = event.position
                if not events:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(LOOK_SECONDS):
                            await news.wait()

    async def close(self, _app: web.Application) -> None:
        """End every client's stream; a handler of `on_shutdown`."""
        self._closed = True
        self._announce()

    @contextmanager
    def _following(self) -> Iterator[None]:
        self._followers += 1
        self._clients.inc()
        self.wakeup.set()
        try:
            yield
        finally:
            self._followers -= 1
            self._clients.dec()

    async def _after(self, position: Position) -> list[Event]:
        if self._complete_after is not None and position >= self._complete_after:
            return self._events[bisect_right(self._events, position, key=lambda event: event.position) :]
        async with READ(), transaction(self._db) as cur:
            events, _ = await stream.select_events(cur, position, limit=PAGE)
        return events

    def _publish(self, events: list[Event]) -> None:
        if not events:
            return
        self._events += events
        surplus = len(self._events) - self._buffer
        if surplus > 0:
            self._complete_after = self._events[surplus - 1].position
            del self._events[:surplus]
        self._announce()

    def _announce(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


HUB = web.AppKey("HUB", Hub)
