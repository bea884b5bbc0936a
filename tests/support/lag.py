"""How late the event loop is: what blocks it blocks everybody."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tocsin.kernel import clock
from tocsin.kernel.tasks import create_task

EVERY = 0.005


@dataclass(slots=True)
class Lag:
    worst: float = 0.0
    """Seconds by which a timer was late."""


@asynccontextmanager
async def loop_lag() -> AsyncIterator[Lag]:
    """Measure during the block."""
    lag = Lag()

    async def measure() -> None:
        while True:
            due = clock.monotonic() + EVERY
            await clock.sleep(EVERY)
            lag.worst = max(lag.worst, clock.monotonic() - due)

    task = create_task(measure(), name="loop-lag")
    try:
        yield lag
    finally:
        task.cancel()
