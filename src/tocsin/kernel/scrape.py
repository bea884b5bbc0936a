"""`GET /metrics`, and the gauges that are read when they are scraped."""

import hmac
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import structlog
from aiohttp import hdrs, web
from prometheus_client import CollectorRegistry
from prometheus_client.aiohttp import make_aiohttp_handler
from pydantic import SecretStr

from tocsin.kernel import tasks
from tocsin.kernel.errors import UnauthenticatedError, UnavailableError
from tocsin.kernel.routing import Handler

log = structlog.get_logger(__name__)
Read: TypeAlias = Callable[[web.Application], Awaitable[None]]
AT_SCRAPE: Final = web.AppKey("AT_SCRAPE", list[Read])
"""Sets gauges before each response of `/metrics`. If the database is unavailable, they keep their last values."""
MAX_SECONDS: Final = 1.0
"""How long a scrape waits for each of them."""


def metrics_handler(registry: CollectorRegistry, token: SecretStr | None) -> Handler:
    """Return the handler of `/metrics`, which requires *token* as a bearer token (RFC 6750) unless it is None."""
    respond = make_aiohttp_handler(registry)

    async def get_metrics(request: web.Request) -> web.StreamResponse:
        if token is not None and not _has_token(request, token):
            msg = "This requires the value of METRICS_TOKEN as `Authorization: Bearer`."
            raise UnauthenticatedError(msg, scheme="Bearer")
        for read in request.app[AT_SCRAPE]:
            try:
                async with tasks.timeout(MAX_SECONDS):
                    await read(request.app)
            except (UnavailableError, TimeoutError) as exc:
                log.warning("gauges not read", reason=str(exc) or "no response in time")
        return await respond(request)

    return get_metrics


def _has_token(request: web.Request, token: SecretStr) -> bool:
    scheme, _, given = ", ".join(request.headers.getall(hdrs.AUTHORIZATION, [])).partition(" ")
    # aiohttp decodes bytes that are not UTF-8 as lone surrogates.
    same = hmac.compare_digest(given.strip().encode(errors="surrogateescape"), token.get_secret_value().encode())
    return same and scheme.lower() == "bearer"
