"""Without log-ins, Tocsin is reachable from its own machine only, unless ALLOW_OPEN_NETWORK says otherwise.

Whoever reaches a service may do everything. A service that other machines may reach therefore does not start, and a
request that a proxy has forwarded is refused: a proxy in front of the loopback interface lets in whoever reaches it.
"""

from typing import Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from tocsin.kernel.errors import ForbiddenError
from tocsin.kernel.loopback import is_loopback
from tocsin.kernel.settings import ProcessSettings

ADVICE: Final = (
    "Without log-ins, whoever reaches it may do everything. Set ACCESS=closed to require them, or if it is meant, for "
    "example behind a proxy that authenticates users, ALLOW_OPEN_NETWORK=yes"
)


def start_refusal(settings: ProcessSettings) -> str | None:
    """Return why a process with *settings* must not start, with what to set; None if it may."""
    if settings.access == "closed" or settings.allow_open_network:
        return None
    address = settings.published_address or settings.bind_address
    if not is_loopback(address):
        given = f"{'PUBLISHED_ADDRESS' if settings.published_address else 'BIND_ADDRESS'} is {address}"
    elif settings.public_url and not is_loopback(urlsplit(settings.public_url).hostname or ""):
        given = f"PUBLIC_URL is {settings.public_url}"
    elif settings.trusted_proxies:
        given = f"TRUSTED_PROXIES is {settings.trusted_proxies}"
    else:
        return None
    return f"{given}: other machines may reach Tocsin. {ADVICE}. Otherwise, use 127.0.0.1."


@web.middleware
async def forwarded_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a request that a proxy has forwarded (RFC 7239)."""
    if hdrs.FORWARDED in request.headers or hdrs.X_FORWARDED_FOR in request.headers:
        msg = f"A proxy has forwarded this request. {ADVICE}."
        raise ForbiddenError(msg)
    return await handler(request)
