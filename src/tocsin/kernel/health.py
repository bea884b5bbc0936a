"""Health: liveness checks nothing; readiness checks each dependency."""

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
"""Returns if the dependency is available; raises DomainError if not."""
CHECK_SECONDS: Final = 1.0
"""How long one check may take."""
SERVICE_SECONDS: Final = 0.5
"""How long another service may take to respond; shorter, so that its failure does not time out a probe of this one."""


@dataclass(slots=True)
class Readiness:
    """The dependencies of a service, and whether it is shutting down."""

    required: dict[str, Check] = field(default_factory=dict)
    optional: dict[str, Check] = field(default_factory=dict)
    """Reported, but the service is ready without them."""
    stopping: bool = False
    running: asyncio.Task[dict[str, str]] | None = None
    """The checks in progress."""


SERVICE = web.AppKey("SERVICE", str)
READINESS = web.AppKey("READINESS", Readiness)


async def check_database(app: web.Application) -> None:
    """Raise UnavailableError if the database does not execute a statement."""
    db = app[DB]
    if db.in_use and clock.monotonic() - db.last_used_at < CHECK_SECONDS:
        return  # busy but working: a replica that is slow under load stays in service
    async with transaction(db) as cur:
        await execute(cur, "SELECT 1")


def check_service(client: ServiceClient) -> Check:
    """Return a check of another service's liveness; its readiness would depend on its own dependencies."""

    async def check(_app: web.Application) -> None:
        await client.get("/health", _Health, budget=Budget(1, SERVICE_SECONDS, SERVICE_SECONDS))

    return check


class _Health(BaseModel):
    status: str


async def get_health(request: web.Request) -> web.Response:
    """Return 200 and the version while the process is alive."""
    return web.json_response({"status": "ok", "service": request.app[SERVICE], "version": build_info.VERSION})


async def get_ready(request: web.Request) -> web.Response:
    """Return the state of each dependency; 503 if a required one is unavailable or the service is shutting down.

    Concurrent probes share one check: after a stall, all waiting probes arrive at once.
    """
    readiness = request.app[READINESS]
    if readiness.running is None or readiness.running.done():
        readiness.running = create_task(_check_all(request.app), name="readiness")
    states = await tasks.shield(readiness.running)
    ready = not readiness.stopping and all(states[name] == "ok" for name in readiness.required)
    body = {
        "status": "ok" if ready else "stopping" if readiness.stopping else "unavailable",
        "service": request.app[SERVICE],
        "version": build_info.VERSION,
        "dependencies": states,
    }
    return web.json_response(body, status=200 if ready else 503)


async def _check_all(app: web.Application) -> dict[str, str]:
    checks = {**app[READINESS].required, **app[READINESS].optional}
    states = await tasks.gather(*(_check(app, check) for check in checks.values()))
    return dict(zip(checks, states, strict=True))


async def _check(app: web.Application, check: Check) -> str:
    try:
        async with tasks.timeout(CHECK_SECONDS):
            await check(app)
    except TimeoutError:
        return "no response in time"
    except DomainError as exc:
        return str(exc)
    return "ok"
