"""The services as child processes: started, restarted when they die, and ended with their parent."""

import asyncio
import os
import signal
import sys
from asyncio import subprocess
from collections import deque
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final

from aiohttp import ClientError, ClientSession, ClientTimeout

from tocsin.cli import logs
from tocsin.cli.console import CommandError, Reporter, escape_control, indent_lines
from tocsin.cli.services import Endpoint, Service
from tocsin.kernel import clock, tasks

LAUNCHER: Final = Path(__file__).with_name("pdeathsig.py")
READY_SECONDS: Final = 120.0
"""How long a service may take to become ready."""
READY_POLL_SECONDS: Final = 0.1
STOP_SECONDS: Final = 3.8
"""How long a service may take to stop; with one second for PostgreSQL, `tocsin up` ends within five."""
BACKOFF_SECONDS: Final = (0.5, 1.0, 2.0, 4.0)
"""Delays before the restarts of a service that keeps dying: short, because the cause may be gone at any time."""
STEADY_SECONDS: Final = 10.0
"""After this uptime the back-off starts from the beginning."""
CHUNK: Final = 65_536
"""Bytes that are read at once."""
MAX_LINE: Final = 65_536
"""Bytes of a line that are shown; the services' log lines are shorter."""
TAIL_LINES: Final = 15
"""How many of a service's last lines are shown if it does not start."""


def launch_command(module: str, *, niceness: int = 0) -> tuple[str, ...]:
    """Return the command that runs *module*, *niceness* nicer than this process, and dies with it."""
    launcher = (sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), str(niceness))
    return (*launcher, sys.executable, "-m", module)


class ServiceProcess:
    """One service's process, restarted when it dies."""

    def __init__(
        self, service: Service, endpoint: Endpoint, reporter: Reporter, environment: Mapping[str, str]
    ) -> None:
        self.service = service
        self.ready = asyncio.Event()
        self._url = endpoint.url(service)
        self._reporter = reporter
        self._environment = {**os.environ, **environment, **endpoint.environment(service), "PYTHONUNBUFFERED": "1"}
        self._process: subprocess.Process | None = None
        self._tail: deque[bytes] = deque(maxlen=TAIL_LINES)
        self._last_response = "no response"

    async def supervise(self) -> None:
        """Keep the service running until cancelled, then stop it. Raise CommandError when its first start fails."""
        deaths = 0
        while True:
            started = clock.monotonic()
            cause = _cause(await self._run())
            if not self.ready.is_set():
                tail = "\n".join(line.decode(errors="replace").rstrip() for line in self._tail)
                msg = f"{self.service.name} does not start ({cause}):\n{indent_lines(tail)}"
                raise CommandError(msg)
            deaths = 0 if clock.monotonic() - started > STEADY_SECONDS else deaths
            pause = BACKOFF_SECONDS[min(deaths, len(BACKOFF_SECONDS) - 1)]
            deaths += 1
            self._reporter.warn(f"{self.service.name} died ({cause}); restarting it in {pause:g} s")
            await clock.sleep(pause)

    def kill(self) -> None:
        """Kill the process."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def _run(self) -> int:
        """Run the service once and return its exit code."""
        process = self._process = await asyncio.create_subprocess_exec(
            *launch_command(self.service.module, niceness=self.service.niceness),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._environment,
            process_group=0,  # Ctrl-C reaches the supervisor alone, which stops the services in order
        )
        async with tasks.task_group() as group:
            if process.stdout is not None:  # never None here: typeshed cannot express that
                group.create_task(self._read(process.stdout))
            ready = group.create_task(self._await_ready())
            try:
                return await process.wait()
            finally:
                await self._stop(process)
                ready.cancel()

    async def _stop(self, process: subprocess.Process) -> None:
        if process.returncode is not None:
            return
        process.terminate()
        try:
            async with tasks.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            self._reporter.warn(f"{self.service.name} did not stop within {STOP_SECONDS:g} s and was killed")
            process.kill()
            await process.wait()

    async def _read(self, stream: asyncio.StreamReader) -> None:
        async for line in read_lines(stream):
            self._tail.append(line)
            logs.show(self.service.name, line, self._reporter)

    async def _await_ready(self) -> None:
        restarted = self.ready.is_set()
        async with ClientSession(timeout=ClientTimeout(total=2)) as session:
            while not await self._is_ready(session):
                await clock.sleep(READY_POLL_SECONDS)
        self.ready.set()
        if restarted:
            self._reporter.info(f"{self.service.name} is ready again")

    async def _is_ready(self, session: ClientSession) -> bool:
        try:
            async with session.get(f"{self._url}/health/ready") as response:
                self._last_response = await response.text()
                return response.ok
        except (ClientError, TimeoutError) as exc:
            self._last_response = str(exc) or "no response"
            return False

    async def wait_ready(self) -> None:
        """Wait until the service is ready; raise CommandError when that takes too long."""
        try:
            async with tasks.timeout(READY_SECONDS):
                await self.ready.wait()
        except TimeoutError as exc:
            msg = f"{self.service.name} is not ready after {READY_SECONDS:g} s: {escape_control(self._last_response)}"
            raise CommandError(msg, f"To see what it reports: curl {self._url}/health/ready") from exc


async def read_lines(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Yield lines without their line feed, each cut to MAX_LINE bytes; the stream's own `readline` refuses longer."""
    rest = b""
    while chunk := await stream.read(CHUNK):
        *lines, rest = (rest + chunk).split(b"\n")
        rest = rest[:MAX_LINE]  # what follows up to the line feed is cut as well
        for line in lines:
            yield line[:MAX_LINE]
    if rest:
        yield rest


def _cause(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
