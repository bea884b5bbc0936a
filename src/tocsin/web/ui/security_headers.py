"""Protect browsers from hostile pages: accepted host names and security headers.

The kernel rejects cross-site writes.
"""

import ipaddress
from typing import Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from tocsin.kernel.errors import MisdirectedRequestError
from tocsin.web.settings import Settings

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: with it a browser sends `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class AllowedHosts:
    """The host names that this server accepts.

    Any other name may have been pointed here by a hostile page (DNS rebinding). That is impossible for an IP address,
    so a server that listens on all addresses accepts any of them.
    """

    def __init__(self, settings: Settings) -> None:
        names = ["localhost", "127.0.0.1", "::1", settings.bind_address, *settings.allowed_hosts.split(",")]
        self._names = {name.strip("[]").lower() for name in names if name}
        self._any = "*" in self._names
        self._any_address = settings.bind_address in {"0.0.0.0", "::", ""}  # noqa: S104 - recognised, not bound

    def __contains__(self, host: str) -> bool:
        """Return whether *host*, a value of the `Host` header, is accepted."""
        try:
            name = (urlsplit(f"//{host}").hostname or "").removesuffix(".")
        except ValueError:
            return False
        return self._any or name in self._names or (self._any_address and _is_address(name))


ALLOWED_HOSTS = web.AppKey("ALLOWED_HOSTS", AllowedHosts)


@web.middleware
async def host_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Reject a request for another host name. One without the header is not from a browser (HTTP/1.0)."""
    host = request.headers.get(hdrs.HOST)
    if host is not None and host not in request.app[ALLOWED_HOSTS]:
        msg = f"This server does not accept the host name {host[:100]!r}. An administrator can add it to ALLOWED_HOSTS."
        raise MisdirectedRequestError(msg)
    return await handler(request)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Add the security headers to every response, except those that the handler has set."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
