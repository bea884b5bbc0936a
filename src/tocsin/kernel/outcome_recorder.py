"""Record the outcome of the work on a leased row.

A row whose outcome is not recorded waits for the end of its lease, and its work is then repeated. A lock or a restart
of the database that is shorter than the lease causes neither.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog
from tenacity import AsyncRetrying, retry_if_exception_type, stop_before_delay, wait_random

from tocsin.kernel import clock, randomness
from tocsin.kernel.db import Database
from tocsin.kernel.errors import UnavailableError

log = structlog.get_logger(__name__)
T = TypeVar("T")
PAUSE_SECONDS: Final = (0.05, 0.5)
"""Bounds of the pause between two attempts: short, because the fault may end at any time."""


class OutcomeRecorder:
    """Records outcomes in one database."""

    def __init__(self, db: Database) -> None:
        self._retries = asyncio.Semaphore(max(1, db.size // 2))
        """Retries that wait for a lock leave half of the connections to requests."""

    async def record(self, write: Callable[[], Awaitable[T]], *, expires: float) -> T:
        """Return the result of *write*; while the database is unavailable, retry it until the lease *expires*.

        *expires* is by the monotonic clock. *write* must have no further effect if an earlier attempt was committed.
        Raise UnavailableError if the lease expires first.
        """
        try:
            return await write()
        except UnavailableError as exc:
            if clock.monotonic() >= expires:
                raise
            log.info("outcome not recorded yet", reason=str(exc))

        async def retry() -> T:
            async with self._retries:
                return await write()

        await clock.sleep(randomness.uniform(*PAUSE_SECONDS))
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(UnavailableError),
            wait=wait_random(*PAUSE_SECONDS),
            stop=stop_before_delay(max(0.0, expires - clock.monotonic())),
            sleep=clock.sleep,
            reraise=True,
        )
        result: T = await retrying(retry)
        return result
