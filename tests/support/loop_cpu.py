"""How long the event loop's thread computes without yielding, in CPU time: other processes do not count."""

import json
import time  # noqa: TID251 - the CPU time of a thread
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from tocsin.kernel import clock
from tocsin.kernel.tasks import create_task

EVERY = 0.005


@dataclass(slots=True)
class LoopCpu:
    longest: float = 0.0
    """Most CPU seconds that the thread used between two runs of a timer, or between two marks."""
    _since: float = field(default_factory=time.thread_time)

    def mark(self) -> None:
        """End what is measured, and begin anew."""
        now = time.thread_time()
        self.longest, self._since = max(self.longest, now - self._since), now

    @contextmanager
    def excluded(self) -> Iterator[None]:
        """Do not count what the block computes: it is the test's own work."""
        before = time.thread_time()
        try:
            yield
        finally:
            self._since += time.thread_time() - before


@asynccontextmanager
async def loop_cpu() -> AsyncIterator[LoopCpu]:
    """Measure during the block."""
    found = LoopCpu()

    async def measure() -> None:
        while True:
            await clock.sleep(EVERY)
            found.mark()

    task = create_task(measure(), name="loop-cpu")
    try:
        yield found
    finally:
        found.mark()
        task.cancel()


def parse_seconds(values: int) -> float:
    """Return the CPU seconds that parsing a JSON body with *values* values takes now, at its best of three times.

    The speed of a hardware thread changes threefold with what others do with its caches and memory.
    """
    body = b'{"values":[' + b",".join(b'{"a":%d}' % number for number in range(values // 2)) + b"]}"
    return min(_parse(body) for _ in range(3))


def _parse(body: bytes) -> float:
    before = time.thread_time()
    json.loads(body)
    return time.thread_time() - before
