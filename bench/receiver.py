"""A webhook receiver that records when each page arrived, on the monotonic clock."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from tocsin.kernel import clock, tasks

ARRIVE_SECONDS: Final = 20.0
"""How long a page may take to arrive."""


def own_address() -> str:
    """Return an address of this machine that is not loopback, which webhooks may not use. Raise OSError without one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing: chooses the source address
        return str(probe.getsockname()[0])


class Receiver:
    """The arrivals of pages."""

    def __init__(self) -> None:
        self.url = ""
        self._arrived: asyncio.Queue[float] = asyncio.Queue()

    async def next_arrival(self) -> float:
        """Return when the next page arrived; raise TimeoutError after ARRIVE_SECONDS."""
        async with tasks.timeout(ARRIVE_SECONDS):
            return await self._arrived.get()

    async def receive(self, request: web.Request) -> web.Response:
        """Record the time and respond 204."""
        now = clock.monotonic()
        await request.read()
        self._arrived.put_nowait(now)
        return web.Response(status=204)


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """Yield a receiver on this machine's own address."""
    pages = Receiver()
    async with listening(pages.receive) as url:
        pages.url = f"{url}/page"
        yield pages


@asynccontextmanager
async def listening(handler: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[str]:
    """Serve POST on this machine's own address and a free port with *handler*; yield the URL."""
    app = web.Application()
    app.add_routes([web.post("/{person}", handler)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, own_address(), 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()
