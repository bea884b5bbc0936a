"""A real process whose output is full, or has a reader that has stopped: it serves, counts what it drops, and stops."""

import asyncio
import json
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from prometheus_client.parser import text_string_to_metric_families

from tests.support.ports import free_port
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
LONG_PATH = "/" + "x" * 7_000
"""A request for it fails, which is a line of so many bytes."""
FILE_BYTES = 20_000


class Serving:
    """A process that is used over HTTP only."""

    def __init__(self, process: asyncio.subprocess.Process, session: ClientSession, url: str) -> None:
        self.process = process
        self._session = session
        self._url = url

    async def status(self, path: str) -> int:
        async with self._session.get(self._url + path) as response:
            return response.status

    async def is_up(self) -> bool:
        try:
            return await self.status("/health") == 200
        except OSError:
            return False

    async def dropped(self) -> float:
        async with self._session.get(f"{self._url}/metrics") as response:
            families = text_string_to_metric_families(await response.text())
        (sample,) = (
            sample for family in families if family.name == "tocsin_log_lines_dropped" for sample in family.samples
        )
        return sample.value

    async def log_until_lines_are_dropped(self) -> None:
        while not await self.dropped():
            assert await self.status(LONG_PATH) == 404


@asynccontextmanager
async def serving(stdout: Any, limit: Callable[[], None] | None = None) -> AsyncIterator[Serving]:
    port = free_port()
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(ClientSession())
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.support.kernel.server_process"),
            cwd=ROOT,
            env={**os.environ, "PORT": str(port)},
            stdout=stdout,
            preexec_fn=limit,
        )
        try:
            running = Serving(process, session, f"http://127.0.0.1:{port}")
            await eventually(running.is_up)
            yield running
            if process.returncode is None:
                process.terminate()
            assert await process.wait() == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def test_a_process_on_a_full_disk_serves_counts_the_lost_lines_and_stops() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    async with serving(full) as running:
        os.close(full)
        await running.log_until_lines_are_dropped()
        assert await running.status("/health") == 200


async def test_a_file_that_cannot_grow_ends_nothing_and_loses_only_the_lines_that_do_not_fit(tmp_path: Path) -> None:
    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))

    log = tmp_path / "log"
    with log.open("wb") as file:
        async with serving(file, limit) as running:
            await running.log_until_lines_are_dropped()
            assert await running.status("/health") == 200
    *lines, _ = log.read_text().split("\n")
    assert log.stat().st_size == FILE_BYTES
    assert [json.loads(line)["event"] for line in lines] == ["listening", "request", "request"]


async def test_a_process_whose_reader_has_stopped_serves_and_stops() -> None:
    reader, writer = os.pipe()
    try:
        async with serving(writer) as running:
            await running.log_until_lines_are_dropped()
            for _ in range(20):
                assert await running.status(LONG_PATH) == 404
            assert await running.status("/health") == 200
    finally:
        os.close(writer)
        os.close(reader)


async def test_when_the_reader_goes_on_it_gets_what_waited_and_the_number_of_missing_lines() -> None:
    reader, writer = os.pipe()
    async with serving(writer) as running:
        await running.log_until_lines_are_dropped()
        os.close(writer)
        with os.fdopen(reader, "rb") as stream:
            lines = (json.loads(line) for line in stream)
            notice = await asyncio.to_thread(
                lambda: next(line for line in lines if line["event"] == "log lines were dropped")
            )
            assert notice["lines"] <= await running.dropped()
            assert notice["level"] == "warning"
            running.process.terminate()
            rest = await asyncio.to_thread(lambda: [line["event"] for line in lines])
            await running.process.wait()
            assert rest[-2:] == ["stopping", "stopped"]


async def test_a_reader_that_is_gone_ends_nothing() -> None:
    reader, writer = os.pipe()
    async with serving(writer) as running:
        os.close(reader)
        os.close(writer)
        assert await running.status(LONG_PATH) == 404
        await eventually(running.dropped)
