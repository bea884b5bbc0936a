"""Measure how long a list of 50 incidents takes to be served with a million in the database, and how many bytes it is.

python -m bench.lists [--incidents 1000000]
"""

import argparse
import asyncio
import gzip
import os
import re
import statistics
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Final

import aiohttp
import psycopg2
from rich.console import Console
from rich.table import Table

from bench.processes import Running, tocsin
from tocsin.kernel import clock

LIMIT_MS: Final = 50
LIMIT_KIB: Final = 20
WAITING: Final = 60
"""How many incidents wait for an answer: a page full of fuses."""
ASKED: Final = 200
WARM_UP: Final = 20
CHUNK: Final = 50_000
PAGES: Final = {
    "not resolved": "/incidents",
    "every incident": "/incidents?status=any",
    "words, severity and team": "/incidents?status=any&q=checkout&severity=low&team=team-7",
    "resolved, of one team": "/incidents?status=resolved&team=team-3",
}
SHEET: Final = re.compile(r'<link rel="stylesheet" href="([^"]+)"')
FILL: Final = """
    SET session_replication_role = replica; -- as a history from before the figures were kept
    INSERT INTO incidents.incident (id, title, service, severity, status, team, assigned_to, alert_count, created_at,
        updated_at, acknowledged_at, resolved_at, escalation_confirmed_at)
    SELECT gen_random_uuid(), 'Checkout answers 5xx on host ' || number, 'service-' || number %% 200,
        (ARRAY['critical', 'high', 'medium', 'low'])[1 + number %% 4],
        CASE WHEN number %% 1000 = 0 THEN 'in_progress' ELSE 'resolved' END,
        'team-' || number %% 12, 'person-' || number %% 36, number %% 50, at, at + interval '1 hour',
        at + interval '2 minutes', CASE WHEN number %% 1000 <> 0 THEN at + interval '1 hour' END, at
    FROM (SELECT number, now() - number * interval '1 minute' AS at
          FROM generate_series(%(first)s, %(last)s) AS number) AS spread
    """


def fill(dsn: str, incidents: int, *, first: int = 1) -> None:
    """Store *incidents* of the past, one a minute: one in a thousand is worked on still, the others are resolved."""
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        for begin in range(first, incidents + 1, CHUNK):
            cursor.execute(FILL, {"first": begin, "last": min(incidents, begin + CHUNK - 1)})
        cursor.execute("VACUUM (ANALYZE) incidents.incident")


async def measure(running: Running) -> dict[str, tuple[float, float]]:
    """Return median and 95th percentile in milliseconds for each list, asked for one after the other."""
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        await asyncio.gather(*(_open(session, running, number) for number in range(WAITING)))
        return {name: await _timed(session, running.url(8080) + path) for name, path in PAGES.items()}


async def _open(session: aiohttp.ClientSession, running: Running, number: int) -> None:
    body = {"title": f"Checkout answers 5xx on host {number}", "service": "checkout", "severity": "high"}
    async with session.post(running.url(8002) + "/api/v1/incidents", json=body) as response:
        await response.read()


async def _timed(session: aiohttp.ClientSession, url: str) -> tuple[float, float]:
    milliseconds, page = [], ""
    for _ in range(WARM_UP + ASKED):
        started = clock.monotonic()
        async with session.get(url) as response:
            page = await response.text()
        milliseconds.append((clock.monotonic() - started) * 1_000)
    if page.count('id="inc-') != 50:  # noqa: PLR2004 - a whole page, or the figure is of something else
        sys.exit(f"{url} does not show 50 incidents.")
    ordered = sorted(milliseconds[WARM_UP:])
    return statistics.median(ordered), ordered[round(0.95 * (len(ordered) - 1))]


async def weigh(running: Running) -> float:
    """Return KiB of the first list with its style sheets, packed by gzip."""
    web = running.url(8080)
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        async with session.get(web + PAGES["not resolved"]) as response:
            page = await response.text()
        total = len(gzip.compress(page.encode()))
        for sheet in SHEET.findall(page):
            async with session.get(web + sheet) as response:
                total += len(gzip.compress(await response.read(), 9))
    return total / 1024


def report(incidents: int, taken: dict[str, tuple[float, float]], weight: float) -> None:
    """Print what was measured beside its limits."""
    table = Table(title=f"Lists of 50 of {incidents:,} incidents, one replica of each service, one reader")
    for column in ("measured", "p50", "p95", "limit", "of it"):
        table.add_column(column, justify="left" if column == "measured" else "right")
    for name, (median, most) in taken.items():
        table.add_row(name, f"{median:.0f} ms", f"{most:.0f} ms", f"{LIMIT_MS} ms", f"{most / LIMIT_MS:.0%}")
    table.add_row("HTML and CSS, packed", "", f"{weight:.1f} KiB", f"{LIMIT_KIB} KiB", f"{weight / LIMIT_KIB:.0%}")
    Console(file=sys.stdout, width=120).print(table)


async def main() -> None:
    """Fill, ask, weigh, and print one table."""
    parser = argparse.ArgumentParser(prog="bench.lists", description="Measure the lists beside their limits.")
    parser.add_argument("--incidents", type=int, default=1_000_000)
    options = parser.parse_args()
    environment = {**os.environ, "ESCALATION_TIMEOUT_MINUTES": "60", "LOG_LEVEL": "WARNING"}
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        os.chmod(folder, 0o755)  # noqa: PTH101, S103 - run as root, PostgreSQL runs as another user
        async with tocsin(Path(folder), environment) as running:
            fill(running.dsn, options.incidents)
            report(options.incidents, await measure(running), await weigh(running))


if __name__ == "__main__":
    asyncio.run(main())
