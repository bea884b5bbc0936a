"""A service on a real port that a test can stop, restart, freeze, or make fail."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import web

from tests.support.ports import free_port


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A received request."""

    path: str
    body: Any
    idempotency_key: str | None
    request_id: str | None


class FakePeer:
    """A service that records its requests and responds as configured."""

    def __init__(self, routes: Iterable[web.RouteDef]) -> None:
        self._routes = list(routes)
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None
        self.port = free_port()
        self.requests: list[ReceivedRequest] = []
        """Every request except health checks, including those that failed."""
        self.statuses: deque[int] = deque()
        """Status codes for the next requests, which are not processed."""
        self.gate = asyncio.Event()
        """While it is not set, requests are recorded but get no response."""
        self.gate.set()

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Self]:
        """Listen for the duration of the block."""
        app = web.Application(middlewares=[self._middleware()])
        app.add_routes(self._routes)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await self.start()
        try:
            yield self
        finally:
            self.gate.set()
            await self._runner.cleanup()

    async def stop(self) -> None:
        """Refuse connections, and close open ones."""
        if self._site is not None and self._runner is not None and self._runner.server is not None:
            await self._site.stop()
            self._site = None
            for connection in self._runner.server.connections:
                connection.force_close()

    async def start(self) -> None:
        """Listen again on the same port."""
        if self._runner is None:
            msg = "not serving"
            raise RuntimeError(msg)
        self._site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await self._site.start()

    def _middleware(self) -> Any:
        @web.middleware
        async def answer(request: web.Request, handler: Any) -> web.StreamResponse:
            if request.path == "/health":  # which other services request at any time
                return web.json_response({"status": "ok"})
            body = await request.json() if request.can_read_body else None
            key, request_id = request.headers.get("Idempotency-Key"), request.headers.get("X-Request-ID")
            self.requests.append(ReceivedRequest(request.path, body, key, request_id))
            await self.gate.wait()
            if self.statuses:
                status = self.statuses.popleft()
                problem = {"detail": f"scripted to return {status}", "status": status}
                return web.json_response(problem, status=status, content_type="application/problem+json")
            response: web.StreamResponse = await handler(request)
            return response

        return answer
