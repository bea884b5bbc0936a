"""A webhook receiver that remembers when each page arrived, by this process's monotonic clock."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from tocsin.kernel import clock

ARRIVE_SECONDS: Final = 20.0


def own_address() -> str:
    """Return an address of this machine beside loopback, where pages never go. Raise OSError where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing: asks which address would be used
        return str(probe.getsockname()[0])


class Receiver:
    """Where pages arrive."""

    def __init__(self) -> None:
        self.url = ""
        self._arrived: asyncio.Queue[float] = asyncio.Queue()

    async def next_arrival(self) -> float:
        """Return when the next page arrived; raise TimeoutError after ARRIVE_SECONDS."""
        async with asyncio.timeout(ARRIVE_SECONDS):
            return await self._arrived.get()

    async def take(self, request: web.Request) -> web.Response:
        """Note the time, answer 204."""
        now = clock.monotonic()
        await request.read()
        self._arrived.put_nowait(now)
        return web.Response(status=204)


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """Yield a receiver on this machine's own address."""
    taking = Receiver()
    async with listening(taking.take) as url:
        taking.url = f"{url}/page"
        yield taking


@asynccontextmanager
async def listening(take: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[str]:
    """Hand every POST on this machine's own address to *take*, at a free port; yield the URL."""
    app = web.Application()
    app.add_routes([web.post("/{person}", take)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, own_address(), 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()
