"""Database host names, resolved without blocking the event loop.

libpq resolves names with a blocking call: a name server that does not respond would stop the whole process. Each
address is tried by itself, because aiopg watches only the first socket that libpq opens.
"""

import asyncio
import socket
from collections.abc import Mapping

import structlog

from tocsin.kernel import tasks

log = structlog.get_logger(__name__)
DEFAULT_PORT = "5432"


async def addresses(dsn: Mapping[str, str], seconds: float) -> list[dict[str, str]]:
    """Return, for each address of the server, the parameters to add to *dsn*: none for a socket directory.

    Each name may take *seconds* to resolve; one that takes longer is left out.
    """
    hosts = dsn.get("host", "").split(",")
    if "hostaddr" in dsn or not hosts[0] or hosts[0].startswith(("/", "@")):
        return [{}]
    ports = dsn.get("port", "").split(",")
    found: list[dict[str, str]] = []
    for index, host in enumerate(hosts):
        port = (ports[index] if len(ports) > 1 else ports[0]) or DEFAULT_PORT
        resolved = await _resolve_within(host, seconds)
        found += [{"host": host, "hostaddr": address, "port": port} for address in resolved]
    return found


async def _resolve_within(host: str, seconds: float) -> list[str]:
    try:
        async with tasks.timeout(seconds):
            return await resolve(host)
    except (OSError, TimeoutError) as exc:
        log.warning("database host name does not resolve", host=host, reason=str(exc) or "timeout")
        return []


async def resolve(host: str) -> list[str]:
    """Return the addresses of *host*, off the event loop. Raise OSError if it has none."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(info[4][0]) for info in found]
