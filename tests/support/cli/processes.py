"""`tocsin up` as a real process, and the other commands in this one."""

import asyncio
import io
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import psutil
import structlog
from aiohttp import ClientError, ClientSession, ClientTimeout
from coverage import Coverage

from tests.support.waiting import eventually
from tocsin.cli.app import main
from tocsin.cli.services import SERVICES, Place
from tocsin.kernel import clock
from tocsin.kernel.tasks import create_task

TOCSIN: Final = Path(sys.executable).with_name("tocsin")
START_SECONDS: Final = 120
STOP_SECONDS: Final = 5.0


def free_place() -> Place:
    """Return five free ports below those that the system hands out; other test workers look elsewhere."""
    first = 2_000 + os.getpid() % 200 * 100
    return next(place for n in range(100) if _is_free(place := Place(offset=first + 80 * (n % 10) + n)))


def _is_free(place: Place) -> bool:
    for service in SERVICES:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", place.port(service))) == 0:
                return False
    return True


class Up:
    """A running `tocsin up`."""

    def __init__(self, process: asyncio.subprocess.Process, place: Place) -> None:
        self.process = process
        self.place = place
        self.lines: list[str] = []
        self.errors: list[str] = []
        self._readers = [
            create_task(_read(stream, lines), name="read")
            for stream, lines in ((process.stdout, self.lines), (process.stderr, self.errors))
        ]
        self._seen: set[psutil.Process] = set()

    @property
    def output(self) -> str:
        """What it has said so far."""
        return "\n".join((*self.lines, *self.errors))

    async def says(self, text: str) -> None:
        """Wait until it says *text*; fail with all it said when it ends without."""

        def said() -> bool:
            over = self.process.returncode is not None
            assert not over or text in self.output, f"{text!r} was never said:\n{self.output}"
            return text in self.output

        await eventually(said, timeout=START_SECONDS)
        self.services()

    def services(self) -> dict[str, psutil.Process]:
        """Return its service processes by name."""
        children = psutil.Process(self.process.pid).children()
        self._seen.update(children)
        commands = [(child, child.cmdline()) for child in children]  # empty where one has ended and nobody knows yet
        named = {command[-1].removeprefix("tocsin."): child for child, command in commands if command}
        return {name: child for name, child in named.items() if name in {service.name for service in SERVICES}}

    async def is_ready(self) -> None:
        """Wait until every service answers that it is ready."""
        async with ClientSession(timeout=ClientTimeout(total=2)) as session:

            async def ready(url: str) -> bool:
                with suppress(ClientError, TimeoutError):
                    async with session.get(f"{url}/health/ready") as response:
                        return response.ok
                return False

            for service in SERVICES:
                await eventually(partial(ready, self.place.url(service)), timeout=START_SECONDS)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, as a terminal or a system would."""
        self.process.send_signal(number)

    async def ends(self, seconds: float = START_SECONDS) -> int:
        """Wait for its end, and that no service outlives it; return its exit code."""
        started = clock.monotonic()
        async with asyncio.timeout(START_SECONDS):
            code = await self.process.wait()
        took = clock.monotonic() - started
        assert took < seconds, f"it took {took:.1f} s to stop:\n{self.output}"
        await asyncio.gather(*self._readers)
        await eventually(lambda: not any(map(_lives, self._seen)))
        return code


def _lives(process: psutil.Process) -> bool:
    """Say whether a process runs. A dead one whose parent is gone may wait for an init that never collects it."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def _read(stream: asyncio.StreamReader | None, lines: list[str]) -> None:
    assert stream is not None
    async for line in stream:
        lines.append(line.decode().rstrip("\n"))  # noqa: PERF401 - others look at the list meanwhile


@asynccontextmanager
async def tocsin_up(*arguments: str, place: Place | None = None, **environment: str) -> AsyncIterator[Up]:
    """Start `tocsin up` on free ports; end it with the block."""
    place = place or free_place()
    process = await asyncio.create_subprocess_exec(
        *_counted(str(TOCSIN)),
        "up",
        "--port-offset",
        str(place.offset),
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "COLUMNS": "200", **environment},
    )
    up = Up(process, place)
    try:
        yield up
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await up.ends()


def _counted(script: str) -> list[str]:
    """Return the command that runs *script* and counts its lines where this run counts lines.

    The services that it starts are not counted: tests of their own do that, and counting takes as long as the work.
    """
    counting = Coverage.current()
    if counting is None:
        return [script]
    data = str(counting.get_option("run:data_file"))
    return [sys.executable, "-m", "coverage", "run", "--parallel-mode", "--data-file", data, script]


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended."""

    status: int
    out: str
    err: str


async def tocsin(*arguments: str) -> Said:
    """Run a command in this process and return how it ended."""
    return await asyncio.to_thread(_run, arguments)


def _run(arguments: tuple[str, ...]) -> Said:
    out, err = io.StringIO(), io.StringIO()
    others = structlog.get_config()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main(arguments)
        except SystemExit as exc:
            status = exc.code if isinstance(exc.code, int) else 1
        else:
            status = 0
        finally:
            structlog.configure(**others)
    return Said(status, out.getvalue(), err.getvalue())
