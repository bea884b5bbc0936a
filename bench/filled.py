"""A long history: a million incidents of 15 months with their escalations and pages, and five million alerts.

python -m bench.filled [--incidents 1000000] [--alerts 5]
"""

import argparse
import asyncio
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Final

import psycopg2
from tests.support.cli.processes import data_folder

from bench.processes import HERE, tocsin
from tocsin.kernel import clock

INCIDENTS: Final = 1_000_000
ALERTS: Final = 5
"""Alerts of each incident."""
INCIDENT_CHUNK: Final = 50_000
ALERT_CHUNK: Final = 10_000
"""Incidents whose alerts are inserted by one statement."""
NO_ID: Final = "00000000-0000-0000-0000-000000000000"
RESET_ROLLUPS: Final = """
    UPDATE incidents.rollup SET history_before = 'infinity';
    UPDATE oncall.rollup SET history_from = 'ffffffff-ffff-ffff-ffff-ffffffffffff', history_before = NULL
    """
IS_BEHIND: Final = """
    SELECT (SELECT history_before > '-infinity' FROM incidents.rollup) OR EXISTS (SELECT FROM incidents.stale)
        OR (SELECT history_from IS NOT NULL FROM oncall.rollup) OR EXISTS (SELECT FROM oncall.stale)
    """
SETTINGS: Final = """
    SET synchronous_commit = off;
    SET maintenance_work_mem = '512MB'
    """


async def fill(dsn: str, *, incidents: int = INCIDENTS, alerts: int = ALERTS) -> str:
    """Insert the history, and wait until the workers have rolled it up; return a sentence about it."""
    started = clock.monotonic()
    await asyncio.to_thread(insert_history, dsn, incidents, alerts)
    inserted = clock.monotonic()
    await rolled_up(dsn)
    took = f"{inserted - started:.0f} s to insert, {clock.monotonic() - inserted:.0f} s to roll up"
    return f"{incidents:,} incidents and {incidents * alerts:,} alerts ({took})"


def insert_history(dsn: str, incidents: int, alerts: int) -> None:
    """Insert *incidents* of the last 455 days, each with *alerts* alerts."""
    with _cursor(dsn) as cursor:
        sql = (HERE / "history.sql").read_text(encoding="utf-8")
        for first in range(1, incidents + 1, INCIDENT_CHUNK):
            last = min(incidents, first + INCIDENT_CHUNK - 1)
            cursor.execute(sql, {"incidents": incidents, "first": first, "last": last, "alerts": alerts})
        cursor.execute("VACUUM (ANALYZE) incidents.incident, incidents.timeline, oncall.escalation, oncall.page")
        sql = (HERE / "alerts_history.sql").read_text(encoding="utf-8")
        last_id = NO_ID
        while alerts:
            cursor.execute(sql, {"after": last_id, "chunk": ALERT_CHUNK, "alerts": alerts})
            found = cursor.fetchone()
            if found is None:
                break
            last_id = found[0]
        for statement in RESET_ROLLUPS.split(";"):
            cursor.execute(statement)


async def rolled_up(dsn: str) -> None:
    """Wait until the workers have rolled up all incidents; then collect the statistics of every table."""
    with _cursor(dsn) as cursor:
        while True:
            cursor.execute(IS_BEHIND)
            if cursor.fetchone() == (False,):
                break
            await clock.sleep(0.2)
    await asyncio.to_thread(_analyze, dsn)


def _analyze(dsn: str) -> None:
    with _cursor(dsn) as cursor:
        cursor.execute("VACUUM (ANALYZE)")
        cursor.execute("CHECKPOINT")  # otherwise the first measurements pay for writing the history


@contextmanager
def _cursor(dsn: str) -> Iterator[Any]:
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        for statement in SETTINGS.split(";"):
            cursor.execute(statement)
        yield cursor


async def main() -> None:
    """Fill an empty Tocsin, to measure how long that takes."""
    parser = argparse.ArgumentParser(prog="bench.filled", description="Fill an empty Tocsin with a long history.")
    parser.add_argument("--incidents", type=int, default=INCIDENTS)
    parser.add_argument("--alerts", type=int, default=ALERTS)
    options = parser.parse_args()
    with data_folder() as folder:
        async with tocsin(folder, os.environ) as running:
            print(await fill(running.dsn, incidents=options.incidents, alerts=options.alerts))  # noqa: T201 - its output


if __name__ == "__main__":
    asyncio.run(main())
