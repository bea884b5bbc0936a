"""Admit the bodies of requests by the memory that they need: what does not fit waits for its turn, and then gets 503.

A body is counted twice. Its bytes count while it arrives and until its request has been handled, but only once more has
arrived than the connection buffers anyway: a slow client holds little, and is refused after half of BODY_WAIT_SECONDS
if others wait for its place. What is made of it (parsed values, rows, statements) is a multiple, and counts once it is
whole. Since a body takes of one pool and then of the next, always in this order, no two can wait for each other.

Small bodies have a pool of their own: an acknowledgement does not wait behind large payloads.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Self

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge

from tocsin.kernel import tasks
from tocsin.kernel.errors import OverloadedError
from tocsin.kernel.settings import ProcessSettings
from tocsin.kernel.validation import count_values

MIB: Final = 1024 * 1024
SMALL_BODY: Final = 64 * 1024
"""Bodies up to this size are small. aiohttp buffers about as much of each connection in any case."""
STREAMED_BODY: Final = 256 * 1024
"""The most that forwarding a body holds of it at a time."""
BYTE_COST: Final = 7
VALUE_COST: Final = 256
"""The memory that handling a body needs, measured with groups of 10,000 alerts: that many bytes for each of its bytes,
and for each of its JSON values."""
REQUEST_COST: Final = 16 * 1024
"""The least that a request needs."""


class MemoryPool:
    """A number of bytes that is lent in the order of the requests for it."""

    def __init__(self, capacity: int) -> None:
        self.capacity: Final = capacity
        self.held = 0
        self.waiting = 0
        """The number of requests that wait."""
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()

    def take_now(self, size: int) -> bool:
        """Take *size*, if nobody waits and it fits; return whether it does. More than everything fits alone."""
        if self._queue or not self._fits(size):
            return False
        self.held += size
        return True

    async def take(self, size: int, *, seconds: float) -> None:
        """Take *size*. Raise TimeoutError if it does not fit within *seconds*."""
        if self.take_now(size):
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((size, turn))
        self.waiting += 1
        self._lend()  # those ahead may all be cancelled
        try:
            async with tasks.timeout(seconds):
                await turn
        except BaseException:
            if turn.cancelled():
                self._lend()  # those behind it may fit
            else:
                self.give_back(size)
            raise
        finally:
            self.waiting -= 1

    def give_back(self, size: int) -> None:
        """Return *size* to the pool."""
        self.held -= size
        self._lend()

    def _lend(self) -> None:
        while self._queue:
            size, turn = self._queue[0]
            if not turn.cancelled():
                if not self._fits(size):
                    return
                self.held += size
                turn.set_result(None)
            self._queue.popleft()

    def _fits(self, size: int) -> bool:
        return self.held + size <= self.capacity or not self.held


@dataclass(frozen=True, slots=True)
class BodyMemory:
    """The pools of one process, and how long a body waits for its turn."""

    small: MemoryPool
    arriving: MemoryPool
    large: MemoryPool
    wait_seconds: float
    mib: int
    refused: Counter

    @classmethod
    def of(cls, settings: ProcessSettings, registry: CollectorRegistry) -> Self:
        """Divide the memory that *settings* allow, and export it."""
        whole = settings.body_memory_mib * MIB
        small, arriving = whole // 6, whole // 4
        pools = {
            "small": MemoryPool(small),
            "arriving": MemoryPool(arriving),
            "large": MemoryPool(whole - small - arriving),
        }
        held = Gauge(
            "tocsin_body_memory_held_bytes", "Memory counted for bodies of requests.", ["pool"], registry=registry
        )
        limit = Gauge(
            "tocsin_body_memory_limit_bytes",
            "Memory that bodies of requests may use at a time.",
            ["pool"],
            registry=registry,
        )
        waiting = Gauge("tocsin_body_memory_waiting", "Requests that wait for memory.", ["pool"], registry=registry)
        refused = Counter(
            "tocsin_body_memory_refused_total",
            "Requests that were refused because there was no memory for their body in time.",
            ["pool"],
            registry=registry,
        )
        for name, pool in pools.items():
            held.labels(name).set_function(_value(pool, "held"))
            waiting.labels(name).set_function(_value(pool, "waiting"))
            limit.labels(name).set(pool.capacity)
            refused.labels(name)
        return cls(**pools, wait_seconds=settings.body_wait_seconds, mib=settings.body_memory_mib, refused=refused)

    def overloaded(self, what: str) -> OverloadedError:
        """Return the error of a request that may be sent again once others have been handled."""
        again = max(1, round(self.wait_seconds))
        return OverloadedError(f"{what}; try again in {again} s.", retry_after=again)


def _value(pool: MemoryPool, name: str) -> Callable[[], float]:
    return lambda: float(getattr(pool, name))


BODY_MEMORY: Final = web.AppKey("BODY_MEMORY", BodyMemory)


@dataclass(slots=True)
class Holdings:
    """What one request holds of the pools."""

    memory: BodyMemory
    taken: list[tuple[MemoryPool, int]] = field(default_factory=list)

    async def take_arriving(self, size: int) -> None:
        """Take the memory for the bytes of a large body. Raise OverloadedError."""
        await self._take("arriving", self.memory.arriving, size)

    async def take_handling(self, body: bytes) -> None:
        """Take the memory that handling *body* needs. Raise OverloadedError."""
        size = len(body)
        if size <= SMALL_BODY:
            await self._take("small", self.memory.small, REQUEST_COST + BYTE_COST * size)
        else:
            await self._take("large", self.memory.large, BYTE_COST * size + VALUE_COST * count_values(body))

    async def _take(self, name: str, pool: MemoryPool, size: int) -> None:
        if not pool.take_now(size):
            try:
                await pool.take(size, seconds=self.memory.wait_seconds)
            except TimeoutError:
                self.memory.refused.labels(name).inc()
                what = f"More requests arrive at once than fit into the {self.memory.mib} MiB for their bodies"
                raise self.memory.overloaded(what) from None
        self.taken.append((pool, size))

    def give_back(self) -> None:
        """Return everything."""
        while self.taken:
            pool, size = self.taken.pop()
            pool.give_back(size)


HOLDINGS: Final = web.RequestKey("HOLDINGS", Holdings)


def holdings_of(request: web.Request) -> Holdings:
    """Return what *request* holds; `release` returns it when the request has been handled."""
    found = request.get(HOLDINGS)
    if found is None:
        found = request[HOLDINGS] = Holdings(request.app[BODY_MEMORY])
    return found


def release(request: web.Request) -> None:
    """Return all memory that *request* holds."""
    found = request.get(HOLDINGS)
    if found is not None:
        found.give_back()
