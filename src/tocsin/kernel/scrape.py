"""`GET /metrics`, and the gauges that are read when they are scraped."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.aiohttp import make_aiohttp_handler

from tocsin.kernel import tasks
from tocsin.kernel.errors import UnavailableError
from tocsin.kernel.routing import Handler

log = structlog.get_logger(__name__)
Read: TypeAlias = Callable[[web.Application], Awaitable[None]]
AT_SCRAPE: Final = web.AppKey("AT_SCRAPE", list[Read])
"""Sets gauges before each response of `/metrics`. If the database is unavailable, they keep their last values."""
MAX_SECONDS: Final = 1.0
"""How long a scrape waits for each of them."""


def metrics_handler(registry: CollectorRegistry) -> Handler:
    """Return the handler of `/metrics`."""
    respond = make_aiohttp_handler(registry)

    async def get_metrics(request: web.Request) -> web.StreamResponse:
        for read in request.app[AT_SCRAPE]:
            try:
                async with tasks.timeout(MAX_SECONDS):
                    await read(request.app)
            except (UnavailableError, TimeoutError) as exc:
                log.warning("gauges not read", reason=str(exc) or "no response in time")
        return await respond(request)

    return get_metrics
