"""A fake of the provider of the made-up channel `pigeon`; it fails while there is fog."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from bench.receiver import own_address

TOKEN = "corn"  # noqa: S105 - the fake's own


@dataclass(slots=True)
class Loft:
    """Records messages; rejects an unknown key, and every request while there is fog."""

    flights: list[dict[str, Any]] = field(default_factory=list)
    fogs: int = 0
    """The number of requests that fail first."""
    url: str = ""

    async def fly(self, request: web.Request) -> web.Response:
        """POST /fly."""
        if request.headers.get("Authorization") != f"Loft {TOKEN}":
            return web.Response(status=401, text="who are you?")
        if self.fogs:
            self.fogs -= 1
            return web.Response(status=503, text="fog")
        self.flights.append(await request.json())
        return web.Response(status=202, text="took off")


@asynccontextmanager
async def open_loft() -> AsyncIterator[Loft]:
    """Yield a loft on this machine's own address: messages never go to loopback."""
    loft = Loft()
    app = web.Application()
    app.add_routes([web.post("/fly", loft.fly)])
    async with TestServer(app, host=own_address()) as server:
        loft.url = str(server.make_url("/")).rstrip("/")
        yield loft
