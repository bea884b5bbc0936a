"""Send a request to an application without a network: the bytes go to aiohttp's own protocol and come back from it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from tocsin.kernel import tasks

LIMIT_SECONDS: Final = 60.0
"""Only bounds a request that never gets a response."""
KEPT_BYTES: Final = 256 * 1024
"""What is kept of a response; the rest is dropped."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request, as the bytes that a client sends."""

    service: str
    method: str
    target: str
    headers: tuple[tuple[str, bytes], ...] = ()
    body: bytes = b""

    def raw(self) -> bytes:
        """Return the bytes of the request, after which the connection closes."""
        # Every header is one line: a request that is not HTTP tests aiohttp, not Tocsin.
        lines = [b"%b: %b" % (name.encode(), value) for name, value in self.headers]
        head = [f"{self.method} {self.target} HTTP/1.1".encode(), b"Host: localhost", *lines]
        if self.body or self.method not in {"GET", "HEAD"}:
            head.append(b"Content-Length: %d" % len(self.body))
        return b"\r\n".join([*head, b"Connection: close", b"", self.body])


@dataclass(frozen=True, slots=True)
class Response:
    """The response to a request."""

    status: int
    head: bytes
    body: bytes


@dataclass(slots=True)
class _Received:
    data: bytearray = field(default_factory=bytearray)
    closed: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class _Wire(asyncio.Transport):
    """The transport of one connection; it ends with the response, or with the first event of a stream."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__({"peername": ("127.0.0.1", 50_000)})
        self._protocol = protocol
        self.received = _Received()

    def write(self, data: Any) -> None:
        if len(self.received.data) < KEPT_BYTES:
            self.received.data += data
        head, _, body = bytes(self.received.data[:8192]).partition(b"\r\n\r\n")
        if b"text/event-stream" in head and body:
            self.close()

    def writelines(self, list_of_data: Any) -> None:
        for data in list_of_data:
            self.write(data)

    def close(self) -> None:
        if not self.received.closed.done():
            self.received.closed.set_result(None)
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    abort = close

    def is_closing(self) -> bool:
        return self.received.closed.done()

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        """Ignored: the whole request has been read already."""

    resume_reading = pause_reading


async def exchange(server: Callable[[], asyncio.Protocol], request: Request) -> Response:
    """Send *request* to a running application; return its response. Raise TimeoutError without one."""
    protocol = server()
    wire = _Wire(protocol)
    protocol.connection_made(wire)
    protocol.data_received(request.raw())
    try:
        async with tasks.timeout(LIMIT_SECONDS):
            await wire.received.closed
    finally:
        wire.close()
    head, _, body = bytes(wire.received.data).partition(b"\r\n\r\n")
    status = head[9:12]
    return Response(int(status) if status.isdigit() else 0, head, body)


def server_of(runner: web.AppRunner) -> Callable[[], asyncio.Protocol]:
    """Return what makes a protocol for each connection to a running application."""
    if runner.server is None:
        msg = "the application has not started"
        raise RuntimeError(msg)
    return runner.server
