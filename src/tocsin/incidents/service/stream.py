"""The stream of changes: one database reader per process, however many clients follow.

The hub buffers the newest events in memory. Of a client it keeps only the position: the events after it come from the
buffer or, if the client is further behind, from the database, so that a client can resume on any replica. The send
time-out disconnects a client that does not read.
"""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import structlog
from aiohttp import web
from prometheus_client import Gauge

from tocsin.incidents.domain.stream_position import StreamPosition
from tocsin.incidents.repository import stream
from tocsin.incidents.repository.stream import StreamEvent
from tocsin.kernel import tasks
from tocsin.kernel.db import Database, autocommit
from tocsin.kernel.errors import UnavailableError
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.workers import Wakeup

log = structlog.get_logger(__name__)
READ: Final = Failpoint("incidents.read_stream")
BATCH_SIZE: Final = 500
CHECK_SECONDS: Final = 5.0
"""How often an idle client's connection is checked."""
SETTLE_SECONDS: Final = 0.02
"""The first delay while events wait for an older transaction to end; it doubles up to the polling interval."""


class Hub:
    """The source of events for the clients of one process."""

    def __init__(self, db: Database, clients: Gauge, *, buffer: int, poll_seconds: float) -> None:
        """*buffer* is the maximum number of events in memory; *clients* counts the connected clients."""
        self._db = db
        self._clients = clients
        self._buffer = buffer
        self._poll_seconds = poll_seconds
        self._followers = 0
        self._complete_after: StreamPosition | None = None
        """`_events` is complete after this position; None without followers."""
        self._events: list[StreamEvent] = []
        self._published = asyncio.Event()
        self._rounds_waited = 0
        self._closed = False
        self.wakeup = Wakeup()

    async def tick(self, _app: web.Application) -> bool | float:
        """Read new events while there are followers; one round of the worker."""
        if not self._followers:
            self._complete_after = None
            self._events = []
            return False
        async with READ(), autocommit(self._db) as cur:
            if self._complete_after is None:
                self._complete_after = await stream.select_position(cur)
                self._wake_followers()  # one that read the database just before may have missed events
            after = self._events[-1].position if self._events else self._complete_after
            found, unsettled = await stream.select_events(cur, after, limit=BATCH_SIZE)
        self._publish(found)
        self._rounds_waited = self._rounds_waited + 1 if unsettled and not found else 0
        if unsettled and not found:
            return min(self._poll_seconds, SETTLE_SECONDS * 2.0 ** min(self._rounds_waited, 30))
        return unsettled or len(found) == BATCH_SIZE

    async def start_position(self, given: StreamPosition | None) -> StreamPosition:
        """Return where a client that has received all events up to *given* resumes; without *given*, the end.

        A position past the end can only come from before the restore of a backup; it is replaced by the end.
        """
        try:
            async with autocommit(self._db) as cur:
                end = await stream.select_position(cur)
        except UnavailableError:
            if given is None:
                raise
            return given
        return end if given is None else min(given, end)

    async def follow(
        self, position: StreamPosition, connected: Callable[[], bool]
    ) -> AsyncGenerator[list[StreamEvent], None]:
        """Yield every change after *position*, in order, while *connected* returns true and the process runs.

        Changes that are known at the same time come together.
        """
        with self._following():
            while connected() and not self._closed:
                published = self._published
                try:
                    events = await self._after(position)
                except UnavailableError as exc:
                    log.warning("stream is waiting for the database", reason=str(exc))
                    events = []
                if events:
                    yield events
                    position = events[-1].position
                else:
                    with suppress(TimeoutError):
                        async with tasks.timeout(CHECK_SECONDS):
                            await published.wait()

    async def close(self, _app: web.Application) -> None:
        """End every stream; an `on_shutdown` handler."""
        self._closed = True
        self._wake_followers()

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

    async def _after(self, position: StreamPosition) -> list[StreamEvent]:
        if self._complete_after is not None and position >= self._complete_after:
            return self._events[bisect_right(self._events, position, key=lambda event: event.position) :]
        async with READ(), autocommit(self._db) as cur:
            events, _ = await stream.select_events(cur, position, limit=BATCH_SIZE)
        return events

    def _publish(self, events: list[StreamEvent]) -> None:
        if not events:
            return
        self._events += events
        surplus = len(self._events) - self._buffer
        if surplus > 0:
            self._complete_after = self._events[surplus - 1].position
            del self._events[:surplus]
        self._wake_followers()

    def _wake_followers(self) -> None:
        self._published.set()
        self._published = asyncio.Event()


HUB = web.AppKey("HUB", Hub)
