"""Clients that leave: in the middle of a body, or before they receive the response.

The server is started as a service starts it: aiohttp's test server cancels the handler of a client that leaves.
"""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from tests.support.kernel.bare_app import ROUTES
from tests.support.tcp_proxy import Streams
from tests.support.waiting import eventually
from tocsin.kernel import clock
from tocsin.kernel.app import REGISTRY, base_app
from tocsin.kernel.settings import ProcessSettings
from tocsin.kernel.tasks import cancel, create_task

LENGTH = b"Content-Length: 1000\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
GZIPPED = b"Content-Encoding: gzip\r\n"
PARTS = [(LENGTH, b'{"name": '), (LENGTH, b""), (CHUNKED, b'9\r\n{"name": '), (CHUNKED, b"9\r\n{"), (CHUNKED, b"")]
Leave: TypeAlias = Callable[[asyncio.StreamWriter], None]


@dataclass(frozen=True, slots=True)
class Edge:
    """A running server."""

    app: web.Application
    host: str
    port: int


@asynccontextmanager
async def running_edge(**settings: Any) -> AsyncIterator[Edge]:
    app = base_app(ProcessSettings.model_validate(settings), service="edge")
    app.add_routes(ROUTES)
    runner = web.AppRunner(app, access_log=None, auto_decompress=False, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield Edge(app, *runner.addresses[0])
    await runner.cleanup()


@pytest.fixture
async def edge() -> AsyncIterator[Edge]:
    async with running_edge() as started:
        yield started


def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()


def reset(writer: asyncio.StreamWriter) -> None:
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


async def send(client: Edge, headers: bytes, body: bytes = b"") -> Streams:
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(b"POST /api/v1/things HTTP/1.1\r\nHost: localhost\r\n" + headers + b"\r\n" + body)
    await writer.drain()
    return reader, writer


def requests_with(client: Edge, status: int) -> float:
    labels = {"method": "POST", "route": "/api/v1/things", "status": str(status)}
    return client.app[REGISTRY].get_sample_value("tocsin_http_request_duration_seconds_count", labels) or 0


def running(client: Edge) -> float | None:
    return client.app[REGISTRY].get_sample_value("tocsin_http_requests_in_progress")


@pytest.mark.parametrize("leave", [hang_up, reset])
@pytest.mark.parametrize(("headers", "body"), PARTS)
async def test_a_client_that_leaves_within_its_body_is_one_line_and_no_error(
    edge: Edge, caplog: pytest.LogCaptureFixture, headers: bytes, body: bytes, leave: Leave
) -> None:
    with capture_logs() as lines:
        _, writer = await send(edge, headers, body)
        await eventually(lambda: running(edge) == 1)
        leave(writer)
        await eventually(lambda: requests_with(edge, 499))
    assert [summary(line) for line in lines] == [("request", 499, "info")]
    assert requests_with(edge, 500) == 0
    assert caplog.records == []


async def test_a_gzipped_body_that_is_cut_off_is_refused_before_it_is_read(edge: Edge) -> None:
    with capture_logs() as lines:
        reader, writer = await send(edge, GZIPPED + LENGTH, b"\x1f\x8b\x08")
        assert b" 415 " in await reader.readline()
        writer.close()
        await eventually(lambda: lines)
    assert [summary(line) for line in lines] == [("request", 415, "info")]


def summary(line: Mapping[str, Any]) -> tuple[str, int | None, str]:
    return str(line["event"]), line.get("status"), str(line["log_level"])


async def test_a_whole_body_whose_client_leaves_at_once_is_no_error(
    edge: Edge, caplog: pytest.LogCaptureFixture
) -> None:
    body = json.dumps({"name": "x"}).encode()
    with capture_logs() as lines:
        for leave in (hang_up, reset) * 10:
            _, writer = await send(edge, b"Content-Length: %d\r\n" % len(body), body)
            leave(writer)
        await eventually(lambda: sum(requests_with(edge, status) for status in (201, 499, 500)) == 20)
    assert {summary(line)[0] for line in lines} <= {"request"}
    assert requests_with(edge, 500) == 0
    assert caplog.records == []


INVALID_CHUNKS = [b"x\r\n", b'9\r\n{"name": x\r\n', b"-1\r\n", b"9" * 40 + b"\r\n"]


@pytest.mark.parametrize(
    ("headers", "body"), [*PARTS, *((CHUNKED, b'9\r\n{"name": \r\n' + chunk) for chunk in INVALID_CHUNKS)]
)
async def test_a_body_that_never_ends_is_refused_although_its_client_stays(headers: bytes, body: bytes) -> None:
    async with running_edge(body_timeout_seconds=0.2) as edge:
        reader, writer = await send(edge, headers, body[:12])
        await eventually(lambda: running(edge) == 1)
        writer.write(body[12:])
        assert b" 408 " in await reader.readline()
        assert b"The body did not arrive within 0.2 s." in await reader.readuntil(b"}")
        assert running(edge) == 0
        writer.close()


async def test_a_body_that_drips_is_refused_as_well() -> None:
    async with running_edge(body_timeout_seconds=0.2) as edge:
        reader, writer = await send(edge, b"Content-Length: 100000\r\n")

        async def drip() -> None:
            while True:
                writer.write(b" ")
                await clock.sleep(0.01)

        dripping = create_task(drip(), name="drip")
        assert b" 408 " in await reader.readline()
        await cancel(dripping)
        writer.close()
