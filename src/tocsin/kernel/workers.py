"""Background loops as cleanup contexts. They stop by an event, not by cancellation, so that a tick always finishes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Self, TypeAlias

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge

from tocsin.kernel import clock, randomness, request_id, tasks
from tocsin.kernel.errors import UnavailableError
from tocsin.kernel.ids import new_id
from tocsin.kernel.tasks import create_task

log = structlog.get_logger(__name__)
Tick: TypeAlias = Callable[[web.Application], Awaitable[bool | float]]
"""One round of work. It returns True to run again at once, because there may be more; False to run again after the
interval; or the seconds after which to run again, if that is sooner."""
Context: TypeAlias = Callable[[web.Application], AsyncIterator[None]]
MAX_PAUSE_SECONDS = 4.0
"""The longest pause after an error, also of a loop with a longer interval: the cause may be gone at any time."""
REST_FACTOR = 4.0
MAX_REST_SECONDS = 0.05
"""After a round that leaves nothing to do, a loop rests for this many times its duration, but at most this long.

Under load, a round then does the work of many wake-ups: looking for work takes little of the time.
"""
STOP_SECONDS = 3.5
"""How long a stopping process waits for a tick; interrupted work is retried when its lease ends."""


@dataclass(frozen=True, slots=True)
class WorkerMetrics:
    """Rounds of each background loop and the time of its last success."""

    ticks: Counter
    last_success: Gauge
    interval: Gauge

    @classmethod
    def register(cls, registry: CollectorRegistry) -> Self:
        """Declare the metrics on *registry*."""
        return cls(
            Counter(
                "tocsin_worker_ticks_total", "Rounds of background work.", ["worker", "outcome"], registry=registry
            ),
            Gauge(
                "tocsin_worker_last_success_timestamp_seconds",
                "When a background loop last finished a round without an error; before that, when it started.",
                ["worker"],
                registry=registry,
            ),
            Gauge(
                "tocsin_worker_interval_seconds",
                "Maximum wait of a background loop between two rounds.",
                ["worker"],
                registry=registry,
            ),
        )


WORKER_METRICS = web.AppKey("WORKER_METRICS", WorkerMetrics)


class Wakeup(asyncio.Event):
    """An event; setting it runs its worker immediately."""


class Retries:
    """When the retries of this process are due, by its monotonic clock, for the worker that makes them.

    A timer may fire a millisecond early, when the database does not yet count the row as due: the worker asks here.
    """

    def __init__(self) -> None:
        self._due: list[float] = []

    def add(self, seconds: float) -> None:
        """Add a retry in *seconds*; call it after its time is stored, and then wake the worker."""
        heappush(self._due, clock.monotonic() + seconds)

    def drop_due(self) -> None:
        """Forget the retries that are due: the worker makes them now."""
        while self._due and self._due[0] <= clock.monotonic():
            heappop(self._due)

    def seconds_left(self) -> float | bool:
        """Return the seconds until the next retry, or False if there is none, as a tick does."""
        return max(0.0, self._due[0] - clock.monotonic()) if self._due else False


def worker(name: str, tick: Tick, *, interval: float, wakeup: Wakeup | None = None) -> Context:
    """Return a cleanup context that runs *tick* every *interval* seconds (jittered by a tenth), or when woken."""

    async def context(app: web.Application) -> AsyncIterator[None]:
        stop = asyncio.Event()
        event = wakeup or Wakeup()
        metrics = app[WORKER_METRICS]
        for outcome in ("ok", "error"):
            metrics.ticks.labels(name, outcome)
        metrics.interval.labels(name).set(interval)
        metrics.last_success.labels(name).set(clock.now().timestamp())
        task = create_task(_loop(app, name, tick, interval, stop, event), name=name)
        yield
        stop.set()
        event.set()
        done, _ = await tasks.wait({task}, seconds=STOP_SECONDS)
        if not done:
            log.warning("worker did not stop in time", worker=name)
            await tasks.cancel(task)

    return context


async def _loop(  # noqa: PLR0917
    app: web.Application, name: str, tick: Tick, interval: float, stop: asyncio.Event, wakeup: Wakeup
) -> None:
    metrics = app[WORKER_METRICS]
    failures = 0
    while not stop.is_set():
        wakeup.clear()
        request_id.REQUEST_ID.set(f"{name}-{new_id()}")
        started = clock.monotonic()
        try:
            result = await tick(app)
        except Exception as exc:
            failures += 1
            metrics.ticks.labels(name, "error").inc()
            if isinstance(exc, UnavailableError):
                log.warning("background loop failed", worker=name, reason=str(exc))
            else:
                log.exception("background loop failed", worker=name)
            # A wake-up does not end this wait: under load there would be no pause while the database is unavailable.
            await _wait(stop, _jittered(min(interval, MAX_PAUSE_SECONDS, 0.1 * 2 ** min(failures, 10))))
        else:
            failures = 0
            metrics.ticks.labels(name, "ok").inc()
            metrics.last_success.labels(name).set(clock.now().timestamp())
            if result is not True:
                await _rest(stop, min(MAX_REST_SECONDS, REST_FACTOR * (clock.monotonic() - started)))
                await _wait(wakeup, min(_jittered(interval), interval if result is False else result))


def _jittered(seconds: float) -> float:
    return seconds * randomness.uniform(0.9, 1.1)


async def _rest(stop: asyncio.Event, seconds: float) -> None:
    await _wait(stop, seconds)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with tasks.timeout(seconds):
            await event.wait()
