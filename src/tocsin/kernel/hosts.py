"""The `Host` check: it prevents DNS rebinding, by which another site's page reaches a service through a browser.

A hostile page makes its own name resolve to this machine; its requests then count as same-origin and differ from ours
only in the `Host` header. A literal address cannot be rebound; Prometheus scrapes replicas by address.
"""

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from tocsin.kernel.errors import MalformedRequestError, MisdirectedRequestError
from tocsin.kernel.settings import ProcessSettings

ALWAYS_ALLOWED: Final = ("localhost", "edge")
"""Loopback, and the edge proxy through which the services of compose call each other."""
CACHED_HOSTS: Final = 256
END_OF_AUTHORITY: Final = re.compile("[/?#]")
HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]*)?")


class AllowedHosts:
    """The host names that a service accepts."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(name.strip("[]").lower() for name in names if name)
        # Nearly all requests name the same few hosts. Clients choose them, so the cache is bounded.
        self._allows_cached = lru_cache(CACHED_HOSTS)(self._allows)

    @classmethod
    def of(cls, settings: ProcessSettings, *, service: str) -> "AllowedHosts":
        """Return the names that *service* accepts: its own, those of `ALLOWED_HOSTS`, and the host of `PUBLIC_URL`."""
        public = urlsplit(settings.public_url or "").hostname or ""
        return cls([*ALWAYS_ALLOWED, service, settings.bind_address, public, *settings.allowed_hosts.split(",")])

    def __contains__(self, host: str) -> bool:
        """Return whether *host*, in the form of a `Host` header, is allowed."""
        return self._allows_cached(host)

    def _allows(self, host: str) -> bool:
        if "*" in self._names:
            return True
        found = HOST.fullmatch(host)
        name = found[1].strip("[]").lower().removesuffix(".") if found else ""
        return name in self._names or _is_address(name)


ALLOWED_HOSTS: Final = web.AppKey("ALLOWED_HOSTS", AllowedHosts)


@web.middleware
async def host_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a request for another host (RFC 9110, section 7.4), and one without exactly one `Host` (RFC 9112, 3.2)."""
    if len(request.headers.getall(hdrs.HOST, [])) != 1:
        msg = "A request must have exactly one Host header."
        raise MalformedRequestError(msg)
    host = authority_of(request)
    if host not in request.app[ALLOWED_HOSTS]:
        msg = (
            f"This server does not accept the host {host[:100]!r}. To allow it, add it to ALLOWED_HOSTS, or set "
            "PUBLIC_URL to the address that people use."
        )
        raise MisdirectedRequestError(msg)
    return await handler(request)


def authority_of(request: web.Request) -> str:
    """Return the host, with its port, that the request is for.

    It is the one in the request line if that has one, whatever `Host` says (RFC 9112, section 3.2.2). aiohttp's
    `request.host` lacks its port, and the brackets of an IPv6 address. Raise MalformedRequestError for a scheme other
    than http and https, and for a user name or password in the request line (RFC 9110, section 4.2.4).
    """
    target = request.raw_path
    if target.startswith("/") or target == "*":
        return request.headers.get(hdrs.HOST, "")
    if request.method == hdrs.METH_CONNECT:
        return target
    scheme, _, rest = target.partition("://")
    authority = END_OF_AUTHORITY.split(rest, maxsplit=1)[0]
    if scheme.lower() not in {"http", "https"} or "@" in authority:
        msg = "The request line must have a path, or a URL that begins with http:// or https:// and has no user name."
        raise MalformedRequestError(msg)
    return authority


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
