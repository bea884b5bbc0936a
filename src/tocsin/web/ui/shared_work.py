"""Work that concurrent requests for the same thing share, such as loading a page.

Each request gets the result of work that began after the request arrived, so that a page always shows the event that
made the browser refresh it. While many browsers refresh the same thing, the work is done once a second.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import suppress
from typing import Final, Generic, TypeVar

from aiohttp import web

from tocsin.kernel import clock, tasks
from tocsin.kernel.principal import ON_BEHALF_OF, Principal, PrincipalKind, Scope
from tocsin.kernel.tasks import create_task

T = TypeVar("T")
INTERVAL_SECONDS: Final = 1.0
"""The interval of the work while many browsers refresh."""
CROWD: Final = 5
"""So many requests within an interval are many."""
EVERYBODY: Final = Principal(PrincipalKind.ACCOUNT, None, frozenset({Scope.PUBLIC, Scope.FORWARD, Scope.READ}))
"""The principal on whose behalf data for several accounts is loaded in closed mode: it sees what all of them see."""


class _Round(Generic[T]):
    """Work that has not begun, and the result that its requests wait for."""

    def __init__(self, work: Callable[[], Awaitable[T]]) -> None:
        self.work = work
        self.urgent = asyncio.Event()
        self.result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.result.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may be left to see it


class _Thing(Generic[T]):
    """One thing that is requested at present."""

    def __init__(self) -> None:
        self.next: _Round[T] | None = None
        self.requested = asyncio.Event()
        self.began_at = -INTERVAL_SECONDS
        self.arrivals: deque[float] = deque(maxlen=CROWD)
        self.task: asyncio.Task[None] | None = None

    @property
    def seconds_left(self) -> float:
        """The rest of the interval since the last work began."""
        return self.began_at + INTERVAL_SECONDS - clock.monotonic()

    @property
    def crowded(self) -> bool:
        """Whether many requests arrived within the last interval."""
        return len(self.arrivals) == CROWD and clock.monotonic() - self.arrivals[0] < INTERVAL_SECONDS


class SharedWork(Generic[T]):
    """Does the work for each thing once for all requests that wait for it."""

    def __init__(self, on_behalf_of: Principal | None = None) -> None:
        """*on_behalf_of* is the principal for whom the work calls the other services; None for this service."""
        self._on_behalf_of = on_behalf_of
        self._things: dict[Hashable, _Thing[T]] = {}

    async def get(self, key: Hashable, work: Callable[[], Awaitable[T]], *, patient: bool) -> T:
        """Return the result of *work*, begun after this call and shared with other calls for *key*.

        A *patient* call, such as a refresh, may wait for up to INTERVAL_SECONDS while there are many.
        """
        thing = self._things.setdefault(key, _Thing())
        thing.arrivals.append(clock.monotonic())
        if thing.next is None:
            thing.next = _Round(work)
        wanted = thing.next
        if not (patient and thing.crowded):
            wanted.urgent.set()
        thing.requested.set()
        if thing.task is None:
            thing.task = create_task(self._run(key, thing), name="shared-work")
        return await tasks.shield(wanted.result)

    async def context(self, _app: web.Application) -> AsyncIterator[None]:
        """End the work when the application stops (a cleanup context)."""
        yield
        await tasks.cancel(*(thing.task for thing in self._things.values() if thing.task is not None))

    async def _run(self, key: Hashable, thing: _Thing[T]) -> None:
        """Do the work as long as there are requests; forget the thing once there was none for an interval."""
        ON_BEHALF_OF.set(self._on_behalf_of)  # the task has that of the first request, but the work is for all of them
        try:
            while await _is_set(thing.requested, thing.seconds_left):
                thing.requested.clear()
                if thing.next is None:
                    continue
                await _is_set(thing.next.urgent, thing.seconds_left)
                current, thing.next = thing.next, None
                thing.began_at = clock.monotonic()
                await _do(current)
        finally:
            del self._things[key]
            if thing.next is not None:
                thing.next.result.cancel()


async def _do(current: _Round[T]) -> None:
    try:
        result = await current.work()
    except Exception as exc:  # noqa: BLE001 - raised in each request that waits
        current.result.set_exception(exc)
    except asyncio.CancelledError:
        current.result.cancel()
        raise
    else:
        current.result.set_result(result)


async def _is_set(event: asyncio.Event, seconds: float) -> bool:
    """Wait for *event* for up to *seconds*; return whether it is set."""
    if not event.is_set() and seconds > 0:
        with suppress(TimeoutError):
            async with tasks.timeout(seconds):
                await event.wait()
    return event.is_set()
