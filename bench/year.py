"""Measure how long the metrics page, and the figures that it shows, take over a year with a million incidents in it.

python -m bench.year [--incidents 1000000]
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Final

import aiohttp
import psycopg2
from rich.console import Console
from rich.table import Table

from bench.processes import Running, tocsin
from tocsin.kernel import clock

LIMIT_MS: Final = 100
ASKED: Final = 50
WARM_UP: Final = 5
CHUNK: Final = 50_000
SHARE: Final = 455 / 364
"""How many more incidents than the year has are stored: there is a time before."""
BEGIN: Final = """
    UPDATE incidents.rollup SET history_before = 'infinity';
    UPDATE oncall.rollup SET history_from = 'ffffffff-ffff-ffff-ffff-ffffffffffff', history_before = NULL;
    VACUUM (ANALYZE) incidents.incident, incidents.timeline, oncall.escalation, oncall.page
    """
BEHIND: Final = """
    SELECT (SELECT history_before > '-infinity' FROM incidents.rollup) OR EXISTS (SELECT FROM incidents.stale)
        OR (SELECT history_from IS NOT NULL FROM oncall.rollup) OR EXISTS (SELECT FROM oncall.stale)
    """


def fill(dsn: str, incidents: int) -> None:
    """Store so many incidents of the last 364 days, and a quarter as many from before."""
    sql = Path(__file__).with_name("year.sql").read_text(encoding="utf-8")
    total = round(incidents * SHARE)
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        for first in range(1, total + 1, CHUNK):
            cursor.execute(sql, {"incidents": total, "first": first, "last": min(total, first + CHUNK - 1)})
        for statement in BEGIN.split(";"):
            cursor.execute(statement)


async def add_up(dsn: str) -> float:
    """Wait until the workers have added all of it up; return the seconds that it took."""
    started = clock.monotonic()
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        while True:
            cursor.execute(BEHIND)
            if cursor.fetchone() == (False,):
                cursor.execute("VACUUM (ANALYZE)")
                return clock.monotonic() - started
            await clock.sleep(0.2)


async def ask(running: Running) -> tuple[int, dict[str, tuple[float, float]]]:
    """Return how many incidents the year has; median and 95th percentile, in milliseconds, of each question."""
    first = clock.now().date() - timedelta(days=363)
    figures = f"{running.url(8002)}/api/v1/incidents/stats/overview?by=week&since={first}"
    questions = {
        "figures of incidents, a year beside the year before": figures,
        "figures of pages, the same": f"{running.url(8003)}/api/v1/oncall/overview?since={first}",
        "the page": running.url(8080) + "/metrics-overview?range=1y",
        "the page, of one team": running.url(8080) + "/metrics-overview?range=1y&team=team-3",
        "the page, of 13 weeks": running.url(8080) + "/metrics-overview",
        "the page, of 30 days by day": running.url(8080) + "/metrics-overview?range=30d",
    }
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        async with session.get(figures) as response:
            incidents: int = (await response.json())["total"]["incidents"]
        return incidents, {name: await _timed(session, url) for name, url in questions.items()}


async def _timed(session: aiohttp.ClientSession, url: str) -> tuple[float, float]:
    taken = []
    for _ in range(WARM_UP + ASKED):
        started = clock.monotonic()
        async with session.get(url) as response:
            await response.read()
        taken.append((clock.monotonic() - started) * 1_000)
    ordered = sorted(taken[WARM_UP:])
    return statistics.median(ordered), ordered[round(0.95 * (len(ordered) - 1))]


def report(incidents: int, taken: dict[str, tuple[float, float]], seconds: float) -> None:
    """Print what was measured beside its limit."""
    table = Table(title=f"A year with {incidents:,} incidents, one replica of each service, one reader")
    for column in ("measured", "p50", "p95", "limit", "of it"):
        table.add_column(column, justify="left" if column == "measured" else "right")
    for name, (median, most) in taken.items():
        table.add_row(name, f"{median:.0f} ms", f"{most:.0f} ms", f"{LIMIT_MS} ms", f"{most / LIMIT_MS:.0%}")
    table.add_row("all of it added up the first time", f"{seconds:.0f} s", "", "", "")
    Console(file=sys.stdout, width=120).print(table)


async def main() -> None:
    """Fill, have it added up, ask, and print one table."""
    parser = argparse.ArgumentParser(prog="bench.year", description="Measure the metrics page beside its limit.")
    parser.add_argument("--incidents", type=int, default=1_000_000)
    options = parser.parse_args()
    environment = {**os.environ, "LOG_LEVEL": "WARNING"}
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        os.chmod(folder, 0o755)  # noqa: PTH101, S103 - run as root, PostgreSQL runs as another user
        async with tocsin(Path(folder), environment) as running:
            fill(running.dsn, options.incidents)
            seconds = await add_up(running.dsn)
            incidents, taken = await ask(running)
    if not 0.97 * options.incidents < incidents < 1.04 * options.incidents:  # whole weeks are a little more or less
        sys.exit(f"Of {options.incidents:,} incidents of a year, {incidents:,} were counted.")
    report(incidents, taken, seconds)


if __name__ == "__main__":
    asyncio.run(main())
