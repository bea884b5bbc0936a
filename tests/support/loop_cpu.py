"""How long the event loop's thread computes without yielding, in CPU time: other processes do not count."""

import time  # noqa: TID251 - the CPU time of a thread
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tocsin.kernel import clock
from tocsin.kernel.tasks import create_task

EVERY = 0.005


@dataclass(slots=True)
class LoopCpu:
    longest: float = 0.0
    """Most CPU seconds that the thread used between two runs of a timer."""


@asynccontextmanager
async def loop_cpu() -> AsyncIterator[LoopCpu]:
    """Measure during the block."""
    found = LoopCpu()

    async def measure() -> None:
        while True:
            before = time.thread_time()
            await clock.sleep(EVERY)
            found.longest = max(found.longest, time.thread_time() - before)

    task = create_task(measure(), name="loop-cpu")
    try:
        yield found
    finally:
        task.cancel()
