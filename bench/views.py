"""What people look at: the Now page, the incidents, an incident."""

from functools import partial
from typing import Final

import aiohttp

from bench.processes import Running
from bench.responses import Responses

PATHS: Final = {"the Now page": "/", "the incidents": "/incidents", "an incident": "/incidents/1"}


class Views:
    """The response times of each page, loaded one after the other."""

    def __init__(self) -> None:
        self.pages = {name: Responses() for name in PATHS}

    async def look(self, session: aiohttp.ClientSession, running: Running, *, times: int = 1) -> None:
        """Load each page *times* times."""
        for _ in range(times):
            for name, path in PATHS.items():
                await self.pages[name].record(partial(read, session, running.url(8080) + path))


async def read(session: aiohttp.ClientSession, url: str, headers: dict[str, str] | None = None) -> None:
    """Read a page to its end."""
    async with session.get(url, headers=headers) as response:
        await response.read()
