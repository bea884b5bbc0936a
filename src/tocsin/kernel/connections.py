"""The connections of one process: bounded, so that those which clients hold do not exclude the others.

A new connection beyond the bound replaces the oldest idle one; until the head of its request has arrived, a connection
is idle. If all are in use, the new one is refused.
"""

import asyncio
import json
import resource
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final, cast

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge

from tocsin.kernel.problems import RETRY_AFTER_SECONDS

log = structlog.get_logger(__name__)
OTHER_FILES: Final = 64
"""Open files that are not connections of clients: the database's, logs, the event loop's own."""

HANDSHAKE_SECONDS: Final = 5.0
"""How long a client may take for the handshake of TLS."""


class Connections:
    """The connections of clients to this process."""

    def __init__(self, most: int, registry: CollectorRegistry) -> None:
        """*most* is the number of connections that may be open."""
        self._most = most
        self._server: web.Server | None = None
        self._in_use: set[object] = set()
        count = Gauge("tocsin_http_connections", "Open connections of clients.", registry=registry)
        count.set_function(lambda: len(self._server.connections) if self._server is not None else 0)
        self._closed = Counter(
            "tocsin_http_idle_connections_closed_total",
            "Idle connections that were closed for new ones.",
            registry=registry,
        )
        self._refused = Counter(
            "tocsin_http_connections_refused_total",
            "Connections that were refused because all were in use.",
            registry=registry,
        )

    async def listen(
        self, server: web.Server, address: str, port: int, *, tls: ssl.SSLContext | None = None
    ) -> asyncio.Server:
        """Accept connections for *server*, with TLS if given. Raise OSError if the address cannot be used."""
        self._server = server
        allowed = allow_files(self._most)
        if allowed < self._most:
            log.warning(
                "the limit of open files allows fewer connections; raise it (ulimit -n) or lower MAX_CONNECTIONS",
                connections=allowed,
                max_connections=self._most,
            )
            self._most = allowed
        handshake = None if tls is None else HANDSHAKE_SECONDS
        return await asyncio.get_running_loop().create_server(
            self._accept, address, port, backlog=self._most, ssl=tls, ssl_handshake_timeout=handshake
        )

    @contextmanager
    def using(self, request: web.Request) -> Iterator[None]:
        """Keep the connection of *request* open in this block."""
        connection = request.protocol
        self._in_use.add(connection)
        try:
            yield
        finally:
            self._in_use.discard(connection)

    def _accept(self) -> asyncio.Protocol:
        server = cast("web.Server", self._server)
        connections = server.connections
        if len(connections) >= self._most:
            idle = (each for each in connections if each not in self._in_use and each.transport is not None)
            oldest = next(idle, None)
            if oldest is None:
                self._refused.inc()
                return _Refusal()
            self._closed.inc()
            oldest.force_close()
        return server()


class _Refusal(asyncio.Protocol):
    """Responds 503 before a request is read, and closes the connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the response."""
        writer = cast("asyncio.WriteTransport", transport)
        status = HTTPStatus.SERVICE_UNAVAILABLE
        document = {
            "type": "urn:tocsin:problem:unavailable",
            "title": status.phrase,
            "status": int(status),
            "detail": "All connections of this process are in use (MAX_CONNECTIONS); retry in a moment.",
        }
        body = json.dumps(document).encode()
        head = (
            f"HTTP/1.1 {status} {status.phrase}\r\nContent-Type: application/problem+json\r\n"
            f"Content-Length: {len(body)}\r\nRetry-After: {RETRY_AFTER_SECONDS}\r\nConnection: close\r\n\r\n"
        )
        writer.write(head.encode() + body)
        writer.close()


def allow_files(connections: int) -> int:
    """Raise this process's limit of open files for *connections*; return how many it allows, at least 1.

    Half of the files are for clients: a request that is forwarded needs a second connection.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * connections + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return connections
    return max(1, min(connections, (soft - OTHER_FILES) // 2))


CONNECTIONS = web.AppKey("CONNECTIONS", Connections)
