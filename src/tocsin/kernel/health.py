"""Health: alive without touching anything; ready after asking each dependency."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from aiohttp import web
from pydantic import BaseModel

from tocsin.kernel import build_info, clock, tasks
from tocsin.kernel.db import DB, execute, transaction
from tocsin.kernel.errors import DomainError
from tocsin.kernel.http_client import Budget, ServiceClient
from tocsin.kernel.tasks import create_task

Check: TypeAlias = Callable[[web.Application], Awaitable[None]]
"""Returns when the dependency is there; raises DomainError when it is not."""
CHECK_SECONDS: Final = 1.0
NEIGHBOUR_SECONDS: Final = 0.5
"""Less: whoever asks whether this service is ready must not give up because a neighbour hangs."""


@dataclass(slots=True)
class Readiness:
    """What a service depends on, and whether it is on its way out."""

    required: dict[str, Check] = field(default_factory=dict)
    optional: dict[str, Check] = field(default_factory=dict)
    """Named when away, but the service works on without."""
    stopping: bool = False
    asking: asyncio.Task[dict[str, str]] | None = None
    """The round of questions under way."""


SERVICE = web.AppKey("SERVICE", str)
READINESS = web.AppKey("READINESS", Readiness)


async def database_answers(app: web.Application) -> None:
    """Ask the database for nothing."""
    db = app[DB]
    if db.in_use == db.size and clock.monotonic() - db.last_used_at < CHECK_SECONDS:
        return  # every connection is at work, and answered: a busy replica must not be taken out of service for it
    async with transaction(db) as cur:
        await execute(cur, "SELECT 1")


def neighbour_answers(client: ServiceClient) -> Check:
    """Return the check that asks another service whether it is alive, and not how its own neighbours are."""

    async def check(_app: web.Application) -> None:
        await client.get("/health", _Health, budget=Budget(1, NEIGHBOUR_SECONDS, NEIGHBOUR_SECONDS))

    return check


class _Health(BaseModel):
    status: str


async def get_health(request: web.Request) -> web.Response:
    """Say that the process is alive, and which version it is."""
    return web.json_response({"status": "ok", "service": request.app[SERVICE], "version": build_info.VERSION})


async def get_ready(request: web.Request) -> web.Response:
    """Say whether the service can do its work, naming each dependency; 503 when it cannot.

    Whoever asks while others do shares their answer: after a standstill all that had waited ask at once.
    """
    readiness = request.app[READINESS]
    if readiness.asking is None or readiness.asking.done():
        readiness.asking = create_task(_ask_all(request.app), name="readiness")
    found = await asyncio.shield(readiness.asking)
    ready = not readiness.stopping and all(found[name] == "ok" for name in readiness.required)
    body = {
        "status": "ok" if ready else "stopping" if readiness.stopping else "unavailable",
        "service": request.app[SERVICE],
        "version": build_info.VERSION,
        "dependencies": found,
    }
    return web.json_response(body, status=200 if ready else 503)


async def _ask_all(app: web.Application) -> dict[str, str]:
    checks = {**app[READINESS].required, **app[READINESS].optional}
    answers = await asyncio.gather(*(_ask(app, check) for check in checks.values()))
    return dict(zip(checks, answers, strict=True))


async def _ask(app: web.Application, check: Check) -> str:
    try:
        async with tasks.timeout(CHECK_SECONDS):
            await check(app)
    except TimeoutError:
        return "no answer in time"
    except DomainError as exc:
        return str(exc)
    return "ok"
