"""How long a list of 50 incidents takes to be served with a million in the database, and how many bytes it is."""

import gzip
import re
import statistics
from typing import Any, Final

import aiohttp

from bench.processes import Running
from tocsin.kernel import clock

LIMIT_MS: Final = 50
LIMIT_BYTES: Final = 20 * 1024
OPEN: Final = 60
"""How many incidents wait for an answer: a page full of fuses."""
ASKED: Final = 200
WARM_UP: Final = 20
PAGES: Final = {
    "not resolved": "/incidents",
    "every incident": "/incidents?status=any",
    "words, severity and team": "/incidents?status=any&q=checkout&severity=critical&team=team-7",
}
SHEET: Final = re.compile(r'<link rel="stylesheet" href="([^"]+)"')


async def lists(running: Running) -> dict[str, Any]:
    """Return median and 95th percentile in milliseconds for each list, and the packed bytes of one with its sheets."""
    web = running.url(8080)
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        for number in range(OPEN):
            body = {"title": f"Checkout answers 5xx on host {number}", "service": "checkout", "severity": "high"}
            async with session.post(running.url(8002) + "/api/v1/incidents", json=body):
                pass
        taken = {name: await _timed(session, web + path) for name, path in PAGES.items()}
        return {"taken": taken, "bytes": await _packed(session, web)}


async def _timed(session: aiohttp.ClientSession, url: str) -> tuple[float, float]:
    """Ask one time after the other, as one person does; what is asked first warms up and is left out."""
    milliseconds, page = [], ""
    for _ in range(WARM_UP + ASKED):
        started = clock.monotonic()
        async with session.get(url) as response:
            page = await response.text()
        milliseconds.append((clock.monotonic() - started) * 1_000)
    if page.count('id="inc-') != 50:  # noqa: PLR2004 - a whole page, or the figure is of something else
        msg = f"{url} does not show 50 incidents"
        raise RuntimeError(msg)
    ordered = sorted(milliseconds[WARM_UP:])
    return statistics.median(ordered), ordered[round(0.95 * (len(ordered) - 1))]


async def _packed(session: aiohttp.ClientSession, web: str) -> int:
    async with session.get(web + PAGES["not resolved"]) as response:
        page = await response.text()
    total = len(gzip.compress(page.encode()))
    for sheet in SHEET.findall(page):
        async with session.get(web + sheet) as response:
            total += len(gzip.compress(await response.read(), 9))
    return total
