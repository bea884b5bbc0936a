"""What people look at: pages, the summary of the incidents, and the alerts that they search for."""

from collections.abc import Mapping
from functools import partial
from typing import Final

import aiohttp

from bench.processes import Running
from bench.responses import Responses

PAGES: Final = {"the Now page": "/", "the incidents": "/incidents", "an incident": "/incidents/1"}
QUERIES: Final = {
    "the summary of 30 days": "/api/v1/incidents/stats/summary",
    "a search for a rare word": "/api/v1/alerts?q=90210",
    "a search for an absent word": "/api/v1/alerts?q=zeppelin",
}
"""With a long history, five alerts of 5,000,000 are from any one instance."""


class Views:
    """The response times of each page, loaded one after the other."""

    def __init__(self, paths: Mapping[str, str] = PAGES) -> None:
        self._paths = paths
        self.pages = {name: Responses() for name in paths}

    async def look(self, session: aiohttp.ClientSession, running: Running, *, times: int = 1) -> None:
        """Load each page *times* times."""
        for _ in range(times):
            for name, path in self._paths.items():
                await self.pages[name].record(partial(read, session, running.url(8080) + path))


async def read(session: aiohttp.ClientSession, url: str, headers: dict[str, str] | None = None) -> None:
    """Read a page to its end."""
    async with session.get(url, headers=headers) as response:
        await response.read()
