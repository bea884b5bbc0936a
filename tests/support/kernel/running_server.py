"""A server process of the kernel, and what it logged."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

from tests.support.waiting import eventually
from tocsin.kernel.tasks import create_task

ROOT = Path(__file__).parents[3]


class Running:
    """A server process, and the lines that it logged."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []
        self._reading = create_task(self._read(), name="reading")

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def events(self) -> list[str]:
        return [str(line["event"]) for line in self.lines]

    @property
    def url(self) -> str:
        (listening,) = [line for line in self.lines if line["event"] == "listening"]
        return f"http://{listening['addresses'][0]}"

    async def end(self) -> tuple[int, str]:
        """Wait until it exits; return the exit code and its standard error."""
        assert self.process.stderr is not None
        errors = (await self.process.stderr.read()).decode()
        code = await self.process.wait()
        await self._reading
        return code, errors


Launch: TypeAlias = Callable[..., Awaitable[Running]]


@asynccontextmanager
async def launching() -> AsyncIterator[Launch]:
    """Return a function that starts a server process; what still runs is killed at the end.

    *files* is the process's limit of open files.
    """
    started: list[Running] = []

    async def start(*, files: int | None = None, **environment: str) -> Running:
        limited = [] if files is None else ["prlimit", f"--nofile={files}:{files}"]
        process = await asyncio.create_subprocess_exec(
            *limited,
            sys.executable,
            "-m",
            "tests.support.kernel.server_process",
            cwd=ROOT,
            env={**os.environ, "PORT": "0", **environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        started.append(Running(process))
        return started[-1]

    yield start
    for running in started:
        if running.process.returncode is None:
            running.process.kill()
        await running.end()


async def listening(running: Running) -> Running:
    await eventually(lambda: "listening" in running.events())
    return running
