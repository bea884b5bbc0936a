"""Connections that clients hold: they exclude nobody."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeAlias

import pytest

from tests.support.kernel.running_server import Launch, Running, listening
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow
PARTIAL = b"GET /health HTTP/1.1\r\nHost: localh"
COMPLETE = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
IN_USE = b"GET /after-stop/0 HTTP/1.1\r\nHost: localhost\r\n\r\n"
Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def connected(running: Running, number: int, sent: bytes = b"") -> AsyncIterator[list[Streams]]:
    """Hold *number* connections on which *sent* has been sent."""
    host, port = running.url.removeprefix("http://").split(":")
    opened: list[Streams] = []
    try:
        for _ in range(number):
            reader, writer = await asyncio.open_connection(host, int(port))
            opened.append((reader, writer))
            writer.write(sent)
            await writer.drain()
        yield opened
    finally:
        for _, writer in opened:
            writer.close()


async def response(streams: Streams) -> tuple[int, dict[str, str], bytes]:
    """Return the status, headers and body of one response."""
    head = (await streams[0].readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    return int(head[0].split()[1]), headers, await streams[0].readexactly(int(headers["content-length"]))


async def is_healthy(running: Running) -> bool:
    async with connected(running, 1, COMPLETE) as [streams]:
        return (await response(streams))[0] == 200


@pytest.mark.parametrize("sent", [b"", PARTIAL])
async def test_a_connection_beyond_the_bound_replaces_the_oldest_idle_one(launch: Launch, sent: bytes) -> None:
    running = await listening(await launch(MAX_CONNECTIONS="16"))
    async with connected(running, 16, sent) as held, connected(running, 1, COMPLETE) as [new]:
        assert (await response(new))[0] == 200
        assert await held[0][0].read() == b""
        held[1][1].write(COMPLETE.removeprefix(sent))
        assert (await response(held[1]))[0] == 200


async def test_connections_in_use_are_kept_and_a_further_one_is_refused_with_a_reason(launch: Launch) -> None:
    running = await listening(await launch(MAX_CONNECTIONS="16"))
    async with connected(running, 16, IN_USE) as held:
        await eventually(lambda: running.events().count("in flight") == 16)
        async with connected(running, 1) as [new]:
            status, headers, body = await response(new)
        assert (status, headers["retry-after"], headers["connection"]) == (503, "1", "close")
        assert "MAX_CONNECTIONS" in json.loads(body)["detail"]
        running.process.terminate()
        assert [(await response(streams))[2] for streams in held] == 16 * [b"finished"]


async def test_with_few_files_a_process_that_holds_many_connections_still_serves(launch: Launch) -> None:
    running = await listening(await launch(files=256))
    assert any(line.get("max_connections") == 4_000 and line["connections"] == 96 for line in running.lines)
    async with connected(running, 300, PARTIAL):
        assert await is_healthy(running)


async def test_a_partial_head_and_an_idle_connection_are_closed_in_time_and_a_request_is_not(launch: Launch) -> None:
    running = await listening(await launch(IDLE_TIMEOUT_SECONDS="0.5"))
    async with (
        connected(running, 1, IN_USE) as [in_use],
        connected(running, 1, PARTIAL) as [partial],
        connected(running, 1) as [silent],
        connected(running, 1, COMPLETE) as [served],
    ):
        assert (await response(served))[0] == 200
        for streams in (partial, silent, served):
            assert await streams[0].read() == b""
        running.process.terminate()
        assert (await response(in_use))[2] == b"finished"
