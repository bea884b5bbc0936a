"""Time, reached through here alone, so that a simulation can take its place."""

import asyncio
import time
from datetime import UTC, datetime


def now() -> datetime:
    """Return this machine's wall clock in UTC. Decisions use the database's clock; this one is for logs and ages."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Return seconds on a clock that never jumps."""
    return time.monotonic()


async def sleep(seconds: float) -> None:
    """Wait *seconds*."""
    await asyncio.sleep(seconds)
