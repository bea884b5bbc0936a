"""The only place that creates tasks, time limits and timers, so that a simulation can replace them."""

import asyncio
from collections.abc import Awaitable, Coroutine, Iterable
from typing import Any, Final, TypeAlias, TypeVar, overload

T = TypeVar("T")
U = TypeVar("U")
F = TypeVar("F", bound="asyncio.Future[Any]")
TimeLimit: TypeAlias = asyncio.Timeout
CANCEL_AGAIN_SECONDS: Final = 0.1


def create_task(coroutine: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
    """Run *coroutine* concurrently; the caller keeps the task and awaits it."""
    return asyncio.create_task(coroutine, name=name)


def task_group() -> asyncio.TaskGroup:
    """Return a group whose tasks have ended when its block ends; the first failure cancels the others."""
    return asyncio.TaskGroup()


@overload
def gather(first: Awaitable[T], second: Awaitable[U], /) -> asyncio.Future[tuple[T, U]]: ...


@overload
def gather(*awaitables: Awaitable[T]) -> asyncio.Future[list[T]]: ...


def gather(*awaitables: Awaitable[Any]) -> asyncio.Future[Any]:
    """Run *awaitables* concurrently; return their results in this order, or raise the first failure."""
    return asyncio.gather(*awaitables)


async def shield(future: asyncio.Future[T]) -> T:
    """Return the result of *future*, which a cancellation of this wait does not cancel."""
    return await asyncio.shield(future)


def timeout(seconds: float | None) -> TimeLimit:
    """Return a context that cancels its block after *seconds* and raises TimeoutError; None sets no limit yet."""
    return asyncio.timeout(seconds)


def extend(limit: TimeLimit, seconds: float) -> None:
    """Let *limit* end in *seconds* from now."""
    limit.reschedule(asyncio.get_running_loop().time() + seconds)


async def wait(
    futures: Iterable[F], *, seconds: float | None = None, return_when: str = asyncio.ALL_COMPLETED
) -> tuple[set[F], set[F]]:
    """Wait at most *seconds* for *futures*; return those that are done and those that are not."""
    return await asyncio.wait(futures, timeout=seconds, return_when=return_when)


async def cancel(*tasks: asyncio.Task[Any]) -> None:
    """Cancel *tasks* and wait until they have ended.

    One cancellation is not always enough: before Python 3.12 `asyncio.wait_for` loses one that arrives together with
    the result, and the driver may turn one into an error of the connection.
    """
    running = {task for task in tasks if not task.done()}
    while running:
        for task in running:
            task.cancel()
        _, running = await wait(running, seconds=CANCEL_AGAIN_SECONDS)
