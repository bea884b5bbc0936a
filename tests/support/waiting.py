"""Waiting for an effect by polling: the only place of the tests that may wait for a fixed time."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar, overload

from tocsin.kernel import clock

T = TypeVar("T")
AN_HOUR: Final = 3_600.0
"""An interval or time-out that no test waits for: one that is awaited by mistake ends the test by its time limit."""
LONGEST_POLL_SECONDS: Final = 0.1
PATIENT: Final = {
    "db_connect_timeout_seconds": 30.0,
    "db_lock_timeout_seconds": 30.0,
    "db_statement_timeout_seconds": 30.0,
}
"""Settings of a service whose database time-outs a busy machine does not reach."""


class NotYet:
    """A false value that explains itself, for a predicate of `eventually`."""

    def __init__(self, reason: Any) -> None:
        self._reason = reason

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return str(self._reason)


@overload
async def eventually(predicate: Callable[[], Awaitable[T]], timeout: float = ..., every: float = ...) -> T: ...  # noqa: ASYNC109


@overload
async def eventually(predicate: Callable[[], T], timeout: float = ..., every: float = ...) -> T: ...  # noqa: ASYNC109


async def eventually(predicate: Callable[[], Any], timeout: float = 45.0, every: float = 0.01) -> Any:  # noqa: ASYNC109
    """Return the first true value of *predicate*, which may be async; after *timeout* seconds fail with the last.

    It is polled ever more rarely, so that a long wait leaves the processor to what is waited for.
    """
    started = clock.monotonic()
    deadline = started + timeout
    while True:
        value = predicate()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        assert clock.monotonic() < deadline, f"still false after {timeout:g} s: {value!r}"
        await clock.sleep(max(every, min(LONGEST_POLL_SECONDS, (clock.monotonic() - started) / 20)))
