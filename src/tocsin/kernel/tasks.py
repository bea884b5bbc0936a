"""Tasks, started through here alone, so that a simulation can take their place."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def create_task(coroutine: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
    """Run *coroutine* beside the caller, who keeps the task and awaits it."""
    return asyncio.create_task(coroutine, name=name)
