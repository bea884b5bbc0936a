"""The only source of time, so that a simulation can replace it."""

import asyncio
import time
from datetime import UTC, datetime


def now() -> datetime:
    """Return this machine's time in UTC, for logs and ages; decisions use the database's clock."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Return the monotonic clock in seconds."""
    return time.monotonic()


async def sleep(seconds: float) -> None:
    """Wait *seconds*."""
    await asyncio.sleep(seconds)
