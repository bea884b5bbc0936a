"""A webhook receiver that speaks real HTTP and can misbehave in many ways."""

import asyncio
import json
import socket
import ssl
import struct
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, TypeAlias

from bench.receiver import own_address

from tocsin.kernel import clock

Behaviour: TypeAlias = Callable[[asyncio.StreamWriter], Awaitable[None]]
"""Writes the response to a request that was read."""
CHUNK: Final = b"x" * 65_536
GIBIBYTE: Final = 1024**3


@dataclass(frozen=True, slots=True)
class Received:
    """One request."""

    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        """The parsed body."""
        return json.loads(self.body)

    @property
    def delivery_id(self) -> str:
        """The id that every attempt for one message has."""
        return self.headers["idempotency-key"]


class Receiver:
    """Records requests; responds as `script` says, then as `behaves` says."""

    def __init__(self, scheme: str) -> None:
        self.received: list[Received] = []
        self.script: deque[Behaviour] = deque()
        self.behaves: Behaviour = answers(HTTPStatus.NO_CONTENT)
        self.running = 0
        self.most_at_once = 0
        self.authority = ""
        self._scheme = scheme

    @property
    def url(self) -> str:
        """The URL to send to."""
        return f"{self._scheme}://{self.authority}/page"

    @property
    def deliveries(self) -> list[str]:
        """Delivery ids in the order of arrival."""
        return [request.delivery_id for request in self.received]

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection: one request."""
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                self.received.append(await _read(reader))
                await (self.script.popleft() if self.script else self.behaves)(writer)
                await writer.drain()
        finally:
            self.running -= 1
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Received:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
    pairs = (line.split(": ", 1) for line in lines if line)
    headers = {name.lower(): value for name, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(first.split()[1], headers, body)


def answers(status: int, body: bytes = b"", **headers: str) -> Behaviour:
    """Respond at once; `Retry_After="1"` adds a header."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        lines = {"Content-Length": str(len(body)), **{name.replace("_", "-"): text for name, text in headers.items()}}
        head = "".join(f"{name}: {text}\r\n" for name, text in lines.items())
        writer.write(f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode() + body)

    return answer


def answers_when(event: asyncio.Event, then: Behaviour) -> Behaviour:
    """Delay the response until *event* is set."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        await event.wait()
        await then(writer)

    return answer


async def never_responds(_writer: asyncio.StreamWriter) -> None:
    """Keep the connection open, without a response."""
    await asyncio.Event().wait()


async def resets(writer: asyncio.StreamWriter) -> None:
    """Reset the connection, as the death of a process does."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def talks_garbage(writer: asyncio.StreamWriter) -> None:
    """Respond with something that is not HTTP."""
    writer.write(b"\x16\x03\x01 220 mail.example.com ESMTP\r\n\r\n\xff\xfe")


def never_ends(status: int, counted: list[int]) -> Behaviour:
    """Respond with a body of 1 GiB; append to *counted* the bytes that were written."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status} Whatever\r\nContent-Length: {GIBIBYTE}\r\n\r\n".encode())
        sent = 0
        try:
            while sent < GIBIBYTE:
                writer.write(CHUNK)
                await writer.drain()
                sent += len(CHUNK)
        finally:
            counted.append(sent)

    return answer


async def trickles(writer: asyncio.StreamWriter) -> None:
    """Respond 200 at once, then send the body slowly and without end: each byte arrives alone."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await clock.sleep(0.05)


@asynccontextmanager
async def open_receiver(tls: ssl.SSLContext | None = None, host: str | None = None) -> AsyncIterator[Receiver]:
    """Yield a receiver on this machine's own address (webhooks never reach loopback), or on *host*."""
    receiver = Receiver("http" if tls is None else "https")
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(receiver.take(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, host or own_address(), 0, ssl=tls)
    place = server.sockets[0].getsockname()
    receiver.authority = f"[{place[0]}]:{place[1]}" if ":" in place[0] else f"{place[0]}:{place[1]}"
    try:
        yield receiver
    finally:
        server.close()
        for task in set(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
