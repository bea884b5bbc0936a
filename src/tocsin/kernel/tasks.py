"""Tasks, started through here alone, so that a simulation can take their place."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")
INSIST_SECONDS: Final = 0.1


def create_task(coroutine: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
    """Run *coroutine* beside the caller, who keeps the task and awaits it."""
    return asyncio.create_task(coroutine, name=name)


async def cancel(*tasks: asyncio.Task[Any]) -> None:
    """Cancel *tasks* and wait until they have ended.

    Once is not always enough: `asyncio.wait_for` before Python 3.12 forgets a cancellation that comes together with the
    result it waits for, and the driver may turn one into an error of the connection.
    """
    running = {task for task in tasks if not task.done()}
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=INSIST_SECONDS)
