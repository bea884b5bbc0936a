"""Where a database may be: names resolved without stopping the event loop.

libpq resolves names with a blocking call: a name server that is silent would stop the whole process. And aiopg watches
only the first socket that libpq opens, so that an address that refuses would hide the one that answers.
"""

import asyncio
import socket
from collections.abc import Mapping

import structlog

log = structlog.get_logger(__name__)
DEFAULT_PORT = "5432"


async def addresses(dsn: Mapping[str, str], seconds: float) -> list[dict[str, str]]:
    """Return what to add to *dsn* for each place where the server may be; a socket directory needs nothing.

    Each name may take *seconds* to resolve; one that does not is left out.
    """
    hosts = dsn.get("host", "").split(",")
    if "hostaddr" in dsn or not hosts[0] or hosts[0].startswith(("/", "@")):
        return [{}]
    ports = dsn.get("port", "").split(",")
    found: list[dict[str, str]] = []
    for index, host in enumerate(hosts):
        port = (ports[index] if len(ports) > 1 else ports[0]) or DEFAULT_PORT
        found += [{"host": host, "hostaddr": address, "port": port} for address in await _found(host, seconds)]
    return found


async def _found(host: str, seconds: float) -> list[str]:
    try:
        async with asyncio.timeout(seconds):
            return await resolve(host)
    except (OSError, TimeoutError) as exc:
        log.warning("database name does not resolve", host=host, reason=str(exc) or "time-out")
        return []


async def resolve(host: str) -> list[str]:
    """Return the addresses of *host*, off the event loop. Raise OSError where it has none."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(info[4][0]) for info in found]
