"""A service with scripted responses, and the client that calls it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from multidict import CIMultiDict
from prometheus_client import CollectorRegistry
from pydantic import BaseModel

from tocsin.kernel import clock
from tocsin.kernel.client_metrics import ClientMetrics
from tocsin.kernel.http_client import Budget, ServiceClient


class Answer(BaseModel):
    word: str
    number: int | None = None


Respond = Callable[[web.Request], Awaitable[web.StreamResponse]]
THREE = Budget(attempts=3, seconds=5.0, attempt_seconds=2.0)


@dataclass
class Peer:
    """A service that responds as scripted; it repeats the last response."""

    script: list[Respond] = field(default_factory=list)
    headers: list[CIMultiDict[str]] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    at: list[float] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.at.append(clock.monotonic())
        self.headers.append(CIMultiDict(request.headers))
        self.queries.append(request.rel_url.raw_query_string)
        self.bodies.append(await request.read())
        respond = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        return await respond(request)


def status(code: int, *, detail: str = "", **headers: str) -> Respond:
    async def respond(_request: web.Request) -> web.StreamResponse:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response({"detail": detail} if detail else {"word": "ok"}, status=code, headers=given)

    return respond


@asynccontextmanager
async def open_client(port: int, registry: CollectorRegistry) -> AsyncIterator[ServiceClient]:
    """Yield a client within its context."""
    one = ServiceClient(f"http://127.0.0.1:{port}", ClientMetrics.register(registry), peer="peer")
    async for _ in one.context(web.Application()):
        yield one


def retries(registry: CollectorRegistry, reason: str) -> float:
    return registry.get_sample_value("tocsin_client_retries_total", {"peer": "peer", "reason": reason}) or 0.0


async def never(_request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError
