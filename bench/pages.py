"""Measure the web pages with a million incidents in a year: response times, paint times on a slow phone, sizes.

python -m bench.pages [--incidents 1000000]
"""

import argparse
import asyncio
import os
import statistics
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import aiohttp
from playwright.async_api import Browser, Page
from rich.console import Console
from rich.table import Table
from tests.support.browser import running_browser
from tests.support.cli.processes import data_folder

from bench.filled import insert_history, rolled_up
from bench.processes import Running, tocsin
from tocsin.kernel import clock

LIST_MS: Final = 50
YEAR_MS: Final = 100
PAINT_MS: Final = 500
SHOWN_MS: Final = 1_000
PAGE_KIB: Final = 20
SCRIPTS_KIB: Final = 45
UNACKNOWLEDGED: Final = 60
"""The number of unacknowledged incidents: enough to fill the page."""
REQUESTS: Final = 100
LOADS: Final = 20
WARM_UP: Final = 10
CPU_SLOWDOWN: Final = 4
SHARE: Final = 455 / 364
"""Stored incidents per incident of the year: a fifth is older."""
LISTS: Final = {
    "50 incidents that are not resolved": "/incidents",
    "50 incidents of all": "/incidents?status=any",
    "50 found by words, severity and team": "/incidents?status=any&q=checkout&severity=low&team=team-7",
    "50 resolved ones of a team": "/incidents?status=resolved&team=team-3",
}
METRICS: Final = {
    "metrics of a year": "/analytics?range=1y",
    "metrics of a year, of a team": "/analytics?range=1y&team=team-3",
    "metrics of 13 weeks": "/analytics",
    "metrics of 30 days by day": "/analytics?range=30d",
}
WHEN_IDLE: Final = "new Promise((done) => requestIdleCallback(done, { timeout: 1_000 }))"
PAINT: Final = """
    () => new Promise((painted) => new PerformanceObserver((list) => {
        for (const { startTime } of list.getEntriesByName('first-contentful-paint')) painted(startTime);
    }).observe({ type: 'paint', buffered: true }))
    """
LARGEST: Final = """
    () => new Promise((painted) => new PerformanceObserver((list) => painted(list.getEntries().at(-1).startTime))
        .observe({ type: 'largest-contentful-paint', buffered: true }))
    """
WEIGHT: Final = """
    () => {
        const entries = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
        const sizes = (ending) => entries.filter(({ name }) => ending.test(new URL(name).pathname))
            .map(({ encodedBodySize }) => encodedBodySize / 1024);
        const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
        return [sum(sizes(/(\\.css|[^.]{5})$/)), sum(sizes(/\\.js$/))];
    }
    """
ACKNOWLEDGED: Final = """
    () => new Promise((acknowledged) => {
        const look = () => document.querySelector('#nx').textContent.trim().startsWith('Acknowledged')
            ? acknowledged() : requestAnimationFrame(look);
        look();
    })
    """


@dataclass(frozen=True, slots=True)
class Figure:
    """A measurement beside its limit."""

    name: str
    unit: str
    limit: float
    samples: Sequence[float]

    def row(self) -> tuple[str, ...]:
        """Return the row of the table."""
        ordered = sorted(self.samples)
        p95 = ordered[round(0.95 * (len(ordered) - 1))]
        shown = [f"{value:.1f} {self.unit}" for value in (statistics.median(ordered), p95, self.limit)]
        return (self.name, *shown, f"{p95 / self.limit:.0%}")


async def serve(running: Running, incidents: int) -> list[Figure]:
    """Measure the response times, one request after the other."""
    first = clock.now().date() - timedelta(days=363)
    overview = f"{running.url(8002)}/api/v1/incidents/stats/overview?by=week&since={first}"
    figures = {
        "figures of incidents, a year beside the year before": overview,
        "figures of pages, the same": f"{running.url(8003)}/api/v1/oncall/overview?since={first}",
        **{name: running.url(8080) + path for name, path in METRICS.items()},
    }
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        await asyncio.gather(*(_open(session, running) for _ in range(UNACKNOWLEDGED)))
        async with session.get(overview) as response:
            counted: int = (await response.json())["total"]["incidents"]
        if not 0.97 * incidents < counted < 1.04 * incidents:  # whole weeks hold slightly more or fewer
            sys.exit(f"Of {incidents:,} incidents of a year, {counted:,} were counted.")
        lists = [
            Figure(name, "ms", LIST_MS, await _timed(session, running.url(8080) + path, rows=50))
            for name, path in LISTS.items()
        ]
        return lists + [Figure(name, "ms", YEAR_MS, await _timed(session, url)) for name, url in figures.items()]


async def _open(session: aiohttp.ClientSession, running: Running) -> int:
    body = {"title": "Checkout returns 5xx on a host", "service": "checkout", "severity": "high"}
    async with session.post(running.url(8002) + "/api/v1/incidents", json=body) as response:
        opened: int = (await response.json())["number"]
        return opened


async def _timed(session: aiohttp.ClientSession, url: str, *, rows: int = 0) -> list[float]:
    samples, page = [], ""
    for _ in range(WARM_UP + REQUESTS):
        started = clock.monotonic()
        async with session.get(url) as response:
            page = await response.text()
        samples.append((clock.monotonic() - started) * 1_000)
    if page.count('id="inc-') != rows:
        sys.exit(f"{url} does not show {rows} incidents.")
    return samples[WARM_UP:]


async def paint(browser: Browser, running: Running) -> list[Figure]:
    """Measure the list on a phone with a slowed processor: with an empty cache, and then coming from another page.

    For comparison, measure a page with one line of text.
    """
    listed = running.url(8080) + LISTS["50 incidents that are not resolved"]
    floor, painted, largest, again, pages, scripts = [], [], [], [], 0.0, 0.0
    for _ in range(LOADS):
        async with _phone(browser) as page:
            await page.goto(running.url(8080) + "/health")
            floor.append(await page.evaluate(PAINT))
        async with _phone(browser) as page:
            await page.goto(listed)
            await page.locator("#live-word", has_text="Live").wait_for()  # every script has been fetched by then
            painted.append(await page.evaluate(PAINT))
            largest.append(await page.evaluate(LARGEST))
            pages, scripts = await page.evaluate(WEIGHT)
            await page.goto(running.url(8080) + "/")
            await page.goto(listed)
            again.append(await page.evaluate(PAINT))
    return [
        Figure(f"a line of text painted, on a processor slowed {CPU_SLOWDOWN} times", "ms", PAINT_MS, floor),
        Figure("the list painted, the same way", "ms", PAINT_MS, painted),
        Figure("the headline with the unacknowledged incidents", "ms", PAINT_MS, largest),
        Figure("the list painted, coming from the Now page", "ms", PAINT_MS, again),
        Figure("its HTML and CSS, compressed", "KiB", PAGE_KIB, [pages]),
        Figure("its scripts, compressed", "KiB", SCRIPTS_KIB, [scripts]),
    ]


@asynccontextmanager
async def _phone(browser: Browser) -> AsyncIterator[Page]:
    context = await browser.new_context(viewport={"width": 390, "height": 844})
    page = await context.new_page()
    await page.evaluate(WHEN_IDLE)
    developer = await context.new_cdp_session(page)
    await developer.send("Emulation.setCPUThrottlingRate", {"rate": CPU_SLOWDOWN})
    yield page
    await context.close()


async def acknowledge(browser: Browser, running: Running) -> list[Figure]:
    """Measure the time from an acknowledgement in one browser until another one shows it."""
    samples = []
    one, other = [await (await browser.new_context()).new_page() for _ in range(2)]
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        for _ in range(LOADS):
            number = await _open(session, running)
            for page in (one, other):
                await page.goto(f"{running.url(8080)}/incidents/{number}")
                await page.locator("#live-word", has_text="Live").wait_for()
            started = clock.monotonic()
            await one.get_by_role("button", name="Acknowledge").click()
            await other.evaluate(ACKNOWLEDGED)  # checks at every frame; Playwright's expect checks twice a second
            samples.append((clock.monotonic() - started) * 1_000)
    return [Figure("an acknowledgement, shown in another browser", "ms", SHOWN_MS, samples)]


async def main() -> None:
    """Insert, roll up, request, paint, and print one table."""
    parser = argparse.ArgumentParser(prog="bench.pages", description="Measure the web pages beside their limits.")
    parser.add_argument("--incidents", type=int, default=1_000_000)
    incidents = parser.parse_args().incidents
    environment = {**os.environ, "ESCALATION_TIMEOUT_MINUTES": "60"}
    table = Table(title=f"A year with {incidents:,} incidents, one replica of each service, one reader")
    for column in ("measured", "p50", "p95", "limit", "p95 / limit"):
        table.add_column(column, justify="left" if column == "measured" else "right")
    with data_folder() as folder:
        async with tocsin(folder, environment) as running, running_browser() as browser:
            await asyncio.to_thread(insert_history, running.dsn, round(incidents * SHARE), 0)
            started = clock.monotonic()
            await rolled_up(running.dsn)
            seconds = clock.monotonic() - started
            served, painted = await serve(running, incidents), await paint(browser, running)
            seen = await acknowledge(browser, running)
    for figure in (*served, *painted, *seen):
        table.add_row(*figure.row())
    table.add_row("first roll-up of all incidents", f"{seconds:.0f} s")
    Console(file=sys.stdout, width=120).print(table)


if __name__ == "__main__":
    asyncio.run(main())
