"""Named places where a test can make a process fail: `FAILPOINT=<name>:kill|raise|execute_then_raise|sleep[,…]`.

Each step boundary declares itself once, at import, so that a test can list them all and find those without a test. An
armed failpoint fails once per process and then passes, so that the test sees the recovery. Without the variable a
failpoint does nothing.
"""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Final

import structlog

from tocsin.kernel import clock, line_writer
from tocsin.kernel.errors import UnavailableError

log = structlog.get_logger(__name__)
SLEEP_SECONDS: Final = 30.0
"""Longer than any lease, so that the row goes to another worker. `FAILPOINT_SLEEP_SECONDS` changes it."""


class FailpointKind(StrEnum):
    """How an armed failpoint fails."""

    KILL = "kill"
    RAISE = "raise"
    EXECUTE_THEN_RAISE = "execute_then_raise"
    SLEEP = "sleep"


class FaultInjectedError(UnavailableError):
    """A test armed this failpoint."""

    code = "fault-injected"


POINTS: Final[set[str]] = set()
"""The names of all failpoints in the modules imported so far."""


class Failpoint:
    """A step boundary, wrapped around the step: `async with AFTER_COMMIT(): ...`."""

    def __init__(self, name: str) -> None:
        if name in POINTS:
            msg = f"failpoint {name!r} is declared twice"
            raise ValueError(msg)
        POINTS.add(name)
        self.name = name
        self._last_value = ""

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[None]:
        """Run the step, and fail before it (kill, raise, sleep) or after it (execute_then_raise) if armed."""
        kind = self._armed()
        if kind is not None:
            log.warning("fault injected", point=self.name, kind=kind)
        if kind is FailpointKind.KILL:
            line_writer.flush(line_writer.EXIT_SECONDS)  # a test reads where it failed
            os.kill(os.getpid(), signal.SIGKILL)
        if kind is FailpointKind.RAISE:
            raise FaultInjectedError(self.name)
        if kind is FailpointKind.SLEEP:
            await clock.sleep(float(os.environ.get("FAILPOINT_SLEEP_SECONDS", SLEEP_SECONDS)))
        yield
        if kind is FailpointKind.EXECUTE_THEN_RAISE:
            raise FaultInjectedError(self.name)

    def _armed(self) -> FailpointKind | None:
        value = os.environ.get("FAILPOINT", "")
        if value == self._last_value:
            return None
        self._last_value = value
        kinds = {name: kind for name, _, kind in (point.partition(":") for point in value.split(","))}
        return FailpointKind(kinds[self.name]) if self.name in kinds else None
