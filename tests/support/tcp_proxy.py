"""A TCP proxy that fails on demand: it delays, drops one direction, cuts off after some bytes, or stops and starts."""

import asyncio
import ctypes
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from typing import TypeAlias

from psycopg2.extensions import make_dsn, parse_dsn

from tests.support.ports import free_port
from tocsin.kernel.tasks import create_task, wait

Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Greet: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes | None]]
"""Speaks to a client first; returns what the server receives before the rest, or None to end the connection."""
CHUNK = 65_536
# SO_LINGER with no time: closing the socket sends RST instead of FIN.
RESET = struct.pack("ii", 1, 0)
UNSPEC = struct.pack("H14x", socket.AF_UNSPEC)
LIBC = ctypes.CDLL(None, use_errno=True)


class Way(StrEnum):
    """The direction of bytes."""

    UP = "to the server"
    DOWN = "to the client"


class Proxy:
    """A proxy between clients and one server. Every setting applies to open and new connections."""

    def __init__(self, upstream: Callable[[], Awaitable[Streams]]) -> None:
        self._upstream = upstream
        self._server: asyncio.Server | None = None
        self._flows = {way: asyncio.Event() for way in Way}
        self._pairs: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}
        self.port = free_port()
        self.limits: dict[Way, int] = {}
        """Bytes that may still pass each way; a connection that needs more is cut."""
        self.passed = dict.fromkeys(Way, 0)
        """Bytes that passed each way."""
        self.held = dict.fromkeys(Way, 0)
        """Chunks that arrived each way while it was dropped."""
        self.greet: Greet | None = None
        self.accepted = 0
        """Connections accepted so far."""
        self.heal()

    def drop(self, *ways: Way) -> None:
        """Let nothing through these ways, silently: what is sent waits for `heal`, as TCP resends it."""
        for way in ways or Way:
            self._flows[way].clear()

    def heal(self) -> None:
        """Let everything through again, first what waited."""
        for event in self._flows.values():
            event.set()
        self.limits.clear()

    async def reset(self) -> None:
        """Reset every open connection."""
        for writers in self._pairs.values():
            for writer in writers:
                if writer.is_closing():
                    continue
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        await self._end()

    def reset_at_once(self, last: bytes) -> None:
        """Send *last* to every client and reset its connection immediately: a waiting client gets both events."""
        for client, *_ in self._pairs.values():
            number = client.get_extra_info("socket").fileno()
            os.write(number, last)
            # Connecting to AF_UNSPEC sends RST now; closing does so only when the loop gets to it.
            if LIBC.connect(number, UNSPEC, len(UNSPEC)):
                raise OSError(ctypes.get_errno(), "the connection cannot be reset")

    async def stop(self) -> None:
        """Refuse new connections and reset the open ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        await self.reset()

    async def start(self) -> None:
        """Listen, after a stop on the same port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _end(self) -> None:
        pairs = dict(self._pairs)
        for task in pairs:
            task.cancel()
        closed = [each.wait_closed() for writers in pairs.values() for each in writers]
        await asyncio.gather(*pairs, *closed, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of our own: asyncio reports the end of the one that it starts for a connection as an error.
        self.accepted += 1
        task = create_task(self._relay(reader, writer), name="proxied")
        self._pairs[task] = [writer]
        task.add_done_callback(self._pairs.pop)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = self._pairs[asyncio.current_task()]  # type: ignore[index]
        pumps: list[asyncio.Task[None]] = []
        try:
            first = await self.greet(reader, writer) if self.greet is not None else b""
            if first is None:
                return
            up_reader, up_writer = await self._upstream()
            writers.append(up_writer)
            up_writer.write(first)
            pumps = [
                create_task(self._pump(reader, up_writer, Way.UP), name="up"),
                create_task(self._pump(up_reader, writer, Way.DOWN), name="down"),
            ]
            await wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            return  # the server cannot be reached
        finally:
            for each in writers:  # before anything is awaited: this task may be cancelled at any await
                each.transport.abort()
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, *(each.wait_closed() for each in writers), return_exceptions=True)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
        with suppress(ConnectionError):
            while chunk := await reader.read(CHUNK):
                if not self._flows[way].is_set():
                    self.held[way] += 1
                await self._flows[way].wait()
                allowed = chunk[: self.limits.get(way, len(chunk))]
                if way in self.limits:
                    self.limits[way] -= len(allowed)
                self.passed[way] += len(allowed)
                writer.write(allowed)
                await writer.drain()
                if len(allowed) < len(chunk):
                    return


@asynccontextmanager
async def proxied(upstream: Callable[[], Awaitable[Streams]]) -> AsyncIterator[Proxy]:
    """Run a proxy of what *upstream* opens, on a port of its own, until the end of the block."""
    proxy = Proxy(upstream)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()


@asynccontextmanager
async def proxied_port(port: int) -> AsyncIterator[Proxy]:
    """Run a proxy of a port of this machine."""
    async with proxied(lambda: asyncio.open_connection("127.0.0.1", port)) as proxy:
        yield proxy


async def database_upstream(dsn: str) -> Streams:
    """Open a connection to the PostgreSQL at *dsn*, by port or socket."""
    parts = parse_dsn(dsn)
    host, port = parts.get("host", ""), parts.get("port", "5432")
    if host.startswith("/"):
        return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
    return await asyncio.open_connection(host, int(port))


@asynccontextmanager
async def proxied_database(dsn: str) -> AsyncIterator[tuple[Proxy, str]]:
    """Run a proxy of a PostgreSQL; yield it and the DSN that leads through it."""
    async with proxied(lambda: database_upstream(dsn)) as proxy:
        yield proxy, make_dsn(dsn, host="127.0.0.1", port=str(proxy.port))
