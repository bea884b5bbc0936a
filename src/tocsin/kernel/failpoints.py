"""Named places where a test can make a process fail: `FAULT_POINT=<name>:kill|raise|execute_then_raise|sleep[,…]`.

Each step boundary declares itself once, at import, so that a test can list them all and refuse an untested one. An
armed point fails once in a process, then works, so that a test sees the recovery. Nothing happens unless the variable
is set.
"""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Final

import structlog

from tocsin.kernel import clock
from tocsin.kernel.errors import UnavailableError

log = structlog.get_logger(__name__)
SLEEP_SECONDS: Final = 30.0
"""Longer than any lease: the sleeper is taken for dead. `FAULT_SLEEP_SECONDS` changes it."""


class FailpointKind(StrEnum):
    """What happens at an armed point."""

    KILL = "kill"
    RAISE = "raise"
    EXECUTE_THEN_RAISE = "execute_then_raise"
    SLEEP = "sleep"


class FaultInjectedError(UnavailableError):
    """A test armed this point."""

    code = "fault-injected"


POINTS: Final[set[str]] = set()
"""Every declared point of the modules imported so far."""


class Failpoint:
    """One step boundary, wrapped around the step: `async with AFTER_COMMIT(): ...`."""

    def __init__(self, name: str) -> None:
        if name in POINTS:
            msg = f"fault point {name!r} is declared twice"
            raise ValueError(msg)
        POINTS.add(name)
        self.name = name
        self._seen = ""

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[None]:
        """Run the step inside, and fail as armed: before it (kill, raise, sleep) or once it is done."""
        kind = self._armed()
        if kind is not None:
            log.warning("fault injected", point=self.name, kind=kind)
        if kind is FailpointKind.KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        if kind is FailpointKind.RAISE:
            raise FaultInjectedError(self.name)
        if kind is FailpointKind.SLEEP:
            await clock.sleep(float(os.environ.get("FAULT_SLEEP_SECONDS", SLEEP_SECONDS)))
        yield
        if kind is FailpointKind.EXECUTE_THEN_RAISE:
            raise FaultInjectedError(self.name)

    def _armed(self) -> FailpointKind | None:
        value = os.environ.get("FAULT_POINT", "")
        if value == self._seen:
            return None
        self._seen = value
        kinds = {name: kind for name, _, kind in (point.partition(":") for point in value.split(","))}
        return FailpointKind(kinds[self.name]) if self.name in kinds else None
