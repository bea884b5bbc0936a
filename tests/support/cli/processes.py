"""`tocsin up` as a real process, and the other commands in this one."""

import asyncio
import io
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import psutil
import structlog
from aiohttp import ClientError, ClientSession, ClientTimeout
from coverage import Coverage

from tests.support.waiting import eventually
from tocsin.cli.app import main
from tocsin.cli.services import SERVICES, Endpoint
from tocsin.kernel import tasks
from tocsin.kernel.tasks import create_task

TOCSIN: Final = Path(sys.executable).with_name("tocsin")
START_SECONDS: Final = 120


@contextmanager
def data_folder() -> Iterator[Path]:
    """Yield a temporary data folder that the server's user can enter when root starts it."""
    with TemporaryDirectory(prefix="tocsin-data-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def free_endpoint() -> Endpoint:
    """Return five free ports below those that the system hands out; other test workers search other ranges."""
    first = 2_000 + os.getpid() % 200 * 100
    return next(endpoint for n in range(100) if _is_free(endpoint := Endpoint(offset=first + 80 * (n % 10) + n)))


def _is_free(endpoint: Endpoint) -> bool:
    for service in SERVICES:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", endpoint.port(service))) == 0:
                return False
    return True


class Up:
    """A running `tocsin up`."""

    def __init__(self, process: asyncio.subprocess.Process, endpoint: Endpoint) -> None:
        self.process = process
        self.endpoint = endpoint
        self.lines: list[str] = []
        self.errors: list[str] = []
        self._readers = [
            create_task(_read(stream, lines), name="read")
            for stream, lines in ((process.stdout, self.lines), (process.stderr, self.errors))
        ]
        self._seen: set[psutil.Process] = set()

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return "\n".join((*self.lines, *self.errors))

    async def wait_for_output(self, text: str) -> None:
        """Wait until it prints *text*; fail with all of its output when it exits without."""

        def printed() -> bool:
            exited = self.process.returncode is not None
            assert not exited or text in self.output, f"{text!r} was never printed:\n{self.output}"
            return text in self.output

        await eventually(printed, timeout=START_SECONDS)
        self.services()

    def services(self) -> dict[str, psutil.Process]:
        """Return its service processes by name."""
        children = psutil.Process(self.process.pid).children()
        self._seen.update(children)
        commands = [(child, _command_of(child)) for child in children]
        named = {command[-1].removeprefix("tocsin."): child for child, command in commands if command}
        return {name: child for name, child in named.items() if name in {service.name for service in SERVICES}}

    async def is_ready(self) -> None:
        """Wait until every service is ready."""
        async with ClientSession(timeout=ClientTimeout(total=2)) as session:

            async def ready(url: str) -> bool:
                with suppress(ClientError, TimeoutError):
                    async with session.get(f"{url}/health/ready") as response:
                        return response.ok
                return False

            for service in SERVICES:
                await eventually(partial(ready, self.endpoint.url(service)), timeout=START_SECONDS)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    async def wait_for_exit(self) -> int:
        """Wait until it and all of its services have exited; return its exit code."""
        async with tasks.timeout(START_SECONDS):
            code = await self.process.wait()
        await asyncio.gather(*self._readers)
        await eventually(lambda: not any(map(_is_running, self._seen)))
        return code


def _command_of(process: psutil.Process) -> list[str]:
    """Return the command line of a process; empty for one that has just exited."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:  # also a zombie
        return []


def _is_running(process: psutil.Process) -> bool:
    """Return whether a process runs. A dead one may stay a zombie where no init collects it."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def _read(stream: asyncio.StreamReader | None, lines: list[str]) -> None:
    if stream is None:
        return  # the test's own file or pipe
    async for line in stream:
        lines.append(line.decode().rstrip("\n"))  # noqa: PERF401 - the list is read meanwhile


@asynccontextmanager
async def tocsin_up(
    *arguments: str, endpoint: Endpoint | None = None, stdout: int = asyncio.subprocess.PIPE, **environment: str
) -> AsyncIterator[Up]:
    """Start `tocsin up` on free ports; stop it with the block."""
    endpoint = endpoint or free_endpoint()
    process = await asyncio.create_subprocess_exec(
        *_measured(str(TOCSIN)),
        "up",
        "--port-offset",
        str(endpoint.offset),
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=stdout,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "COLUMNS": "200", **environment},
    )
    up = Up(process, endpoint)
    try:
        yield up
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await up.wait_for_exit()


def _measured(script: str) -> list[str]:
    """Return the command that runs *script*, with coverage where this run measures coverage.

    The services that it starts are not measured: they have tests of their own, and measuring doubles their time.
    """
    coverage = Coverage.current()
    if coverage is None:
        return [script]
    data = str(coverage.get_option("run:data_file"))
    return [sys.executable, "-m", "coverage", "run", "--parallel-mode", "--data-file", data, script]


@dataclass(frozen=True, slots=True)
class CommandResult:
    """Exit status and output of a command."""

    status: int
    out: str
    err: str


async def tocsin(*arguments: str) -> CommandResult:
    """Run a command in this process."""
    return await asyncio.to_thread(_run, arguments)


def _run(arguments: tuple[str, ...]) -> CommandResult:
    out, err = io.StringIO(), io.StringIO()
    configuration = structlog.get_config()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main(arguments)
        except SystemExit as exc:
            status = exc.code if isinstance(exc.code, int) else 1
        else:
            status = 0
        finally:
            structlog.configure(**configuration)
    return CommandResult(status, out.getvalue(), err.getvalue())
