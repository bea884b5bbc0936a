"""A long history: a million incidents of 15 months with their escalations and pages, and five million alerts.

python -m bench.filled [--incidents 1000000] [--alerts 5]
"""

import argparse
import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import psycopg2
from tests.support.cli.processes import data_folder
from tests.support.partitions import add_partitions, in_days

from bench.processes import HERE, tocsin
from tocsin.cli.postgres import EmbeddedPostgres
from tocsin.kernel import clock
from tocsin.migrate import migrate

INCIDENTS: Final = 1_000_000
ALERTS: Final = 5
"""Alerts of each incident."""
DAYS: Final = 455
KEPT: Final = {"ALERT_RETENTION_DAYS": "0", "REQUEST_RETENTION_DAYS": "0"}
"""The settings with which no part of the history is deleted."""
INCIDENT_CHUNK: Final = 50_000
ALERT_CHUNK: Final = 10_000
"""Incidents whose alerts are inserted by one statement."""
WRITERS: Final = 2
"""Concurrent connections."""
NO_ID: Final = "00000000-0000-0000-0000-000000000000"
CHUNK_ENDS: Final = """
    SELECT max(id::text)
    FROM (SELECT id, (row_number() OVER (ORDER BY id) - 1) / %(chunk)s AS chunk FROM incidents.incident) AS numbered
    GROUP BY chunk ORDER BY chunk
    """
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


async def age_database(folder: Path) -> None:
    """Create the database in *folder* as one that is DAYS old: its alerts have a partition for each four weeks."""
    server = EmbeddedPostgres(folder)
    await server.start()
    await asyncio.to_thread(migrate, in_days(server.dsn, -DAYS))
    for schema in ("alerts", "incidents"):
        await asyncio.to_thread(add_partitions, server.dsn, schema)
    await server.stop(at_once=False)


async def fill(dsn: str, *, incidents: int = INCIDENTS, alerts: int = ALERTS) -> str:
    """Insert the history, and wait until the workers have rolled it up; return a sentence about it."""
    started = clock.monotonic()
    await asyncio.to_thread(insert_history, dsn, incidents, alerts)
    inserted = clock.monotonic()
    await rolled_up(dsn)
    took = f"{inserted - started:.0f} s to insert, {clock.monotonic() - inserted:.0f} s to roll up"
    return f"{incidents:,} incidents and {incidents * alerts:,} alerts ({took})"


def insert_history(dsn: str, incidents: int, alerts: int) -> None:
    """Insert *incidents* of the last DAYS days, each with *alerts* alerts."""
    chunks = [
        {"incidents": incidents, "alerts": alerts, "first": first, "last": min(incidents, first + INCIDENT_CHUNK - 1)}
        for first in range(1, incidents + 1, INCIDENT_CHUNK)
    ]
    _insert(dsn, "history.sql", chunks)
    with _cursor(dsn) as cursor:
        cursor.execute("VACUUM (ANALYZE) incidents.incident, incidents.timeline, oncall.escalation, oncall.page")
        cursor.execute(CHUNK_ENDS, {"chunk": ALERT_CHUNK})
        ends = [NO_ID, *(end for (end,) in cursor.fetchall())]
    _insert(
        dsn, "alerts_history.sql", [{"alerts": alerts, "after": after, "until": end} for after, end in pairwise(ends)]
    )
    with _cursor(dsn) as cursor:
        for statement in RESET_ROLLUPS.split(";"):
            cursor.execute(statement)


def _insert(dsn: str, file: str, chunks: Sequence[Mapping[str, Any]]) -> None:
    """Execute the SQL in *file* with the parameters of each chunk, WRITERS at a time."""
    sql = (HERE / file).read_text(encoding="utf-8")

    def insert(chunk: Mapping[str, Any]) -> None:
        with _cursor(dsn) as cursor:
            cursor.execute(sql, chunk)

    with ThreadPoolExecutor(WRITERS) as writers:
        list(writers.map(insert, chunks))


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
        await age_database(folder)
        async with tocsin(folder, {**os.environ, **KEPT}) as running:
            print(await fill(running.dsn, incidents=options.incidents, alerts=options.alerts))  # noqa: T201 - its output


if __name__ == "__main__":
    asyncio.run(main())
