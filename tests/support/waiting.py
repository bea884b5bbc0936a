"""Waiting for what happens elsewhere, without a sleep that is either too short or too long."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar, overload

from tocsin.kernel import clock

T = TypeVar("T")
PATIENT: Final = {
    "db_connect_timeout_seconds": 30.0,
    "db_lock_timeout_seconds": 30.0,
    "db_statement_timeout_seconds": 30.0,
}
"""Settings of a service that does not take a busy machine for a stuck one."""


@overload
async def eventually(predicate: Callable[[], Awaitable[T]], timeout: float = ..., every: float = ...) -> T: ...  # noqa: ASYNC109


@overload
async def eventually(predicate: Callable[[], T], timeout: float = ..., every: float = ...) -> T: ...  # noqa: ASYNC109


async def eventually(predicate: Callable[[], Any], timeout: float = 30.0, every: float = 0.01) -> Any:  # noqa: ASYNC109
    """Return the first true answer of *predicate*, which may be async; after *timeout* seconds fail with the last."""
    deadline = clock.monotonic() + timeout
    while True:
        answer = predicate()
        value = await answer if inspect.isawaitable(answer) else answer
        if value:
            return value
        assert clock.monotonic() < deadline, f"not so within {timeout} s; the last answer was {value!r}"
        await clock.sleep(every)
