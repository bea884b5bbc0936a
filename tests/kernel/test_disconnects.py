"""Clients that leave: in the middle of a body, or before they receive the response.

The server is started as a service starts it: aiohttp's test server cancels the handler of a client that leaves.
"""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from tests.support.kernel.bare_app import ROUTES
from tests.support.tcp_proxy import Streams
from tests.support.waiting import eventually
from tocsin.kernel.app import REGISTRY, base_app
from tocsin.kernel.settings import ProcessSettings

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


@pytest.fixture
async def edge() -> AsyncIterator[Edge]:
    app = base_app(ProcessSettings.model_validate({}), service="edge")
    app.add_routes(ROUTES)
    runner = web.AppRunner(app, access_log=None, auto_decompress=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield Edge(app, *runner.addresses[0])
    await runner.cleanup()


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
