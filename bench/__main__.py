"""Measure alerts per second and the time from alert to page, each beside its limit, in one run on this machine.

python -m bench [--seconds 10] [--connections 1024] [--services 20] [--pages 50]
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import psycopg2
from rich.console import Console
from rich.table import Table

from bench.processes import Running, bare_server, pgbench, tocsin, wrk
from bench.receiver import Receiver, own_address, receiver
from tocsin.kernel import clock

SETTLE_SECONDS = 120
"""How long correlation of the last alerts may take."""


def query(dsn: str, sql: str) -> tuple[Any, ...]:
    """Run one statement; return its first row, or None."""
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(sql)
        return cursor.fetchone() or () if cursor.description else ()


async def throughput(running: Running, options: argparse.Namespace) -> dict[str, Any]:
    """Return alerts per second, counted in the database once all of them are correlated, and wrk's own figures."""
    started = clock.monotonic()
    measured = await wrk(
        running.url(8001), seconds=options.seconds, connections=options.connections, services=options.services
    )
    while query(running.dsn, "SELECT count(*) FROM alerts.correlation WHERE forwarded_version < version")[0]:
        if clock.monotonic() - started > options.seconds + SETTLE_SECONDS:
            sys.exit("Not every alert was correlated in time.")
        await clock.sleep(0.05)
    seconds = clock.monotonic() - started
    linked, incidents = query(
        running.dsn,
        "SELECT count(*), count(DISTINCT incident_id) FROM alerts.correlation WHERE incident_id IS NOT NULL",
    )
    if linked < measured["requests"] - measured["failed"]:
        sys.exit(f"{measured['requests']} alerts were accepted, {linked} have an incident.")
    return {**measured, "per_second": linked / seconds, "linked": linked, "incidents": incidents}


async def paging(running: Running, arriving: Receiver, pages: int) -> list[float]:
    """Return the seconds from the POST of an alert to the arrival of its page, for *pages* alerts to an idle system."""
    team = {
        "team": "bench",
        "rotation_type": "weekly",
        "members": [
            {
                "name": "Bench",
                "email": "bench@example.org",
                "contacts": [{"channel": "webhook", "address": arriving.url}],
            }
        ],
    }
    seconds = []
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        async with session.post(running.url(8003) + "/api/v1/schedules", json=team):
            pass
        for number in range(pages):
            alert = {"service": f"page-{number}", "severity": "critical", "message": "one page"}
            started = clock.monotonic()
            async with session.post(running.url(8001) + "/api/v1/alerts", json=alert):
                pass
            seconds.append(await arriving.next_arrival() - started)
            await clock.sleep(0.1)  # idle again
    return seconds


async def main() -> None:
    """Run all measurements and print one table."""
    parser = argparse.ArgumentParser(prog="bench", description="Measure Tocsin beside its limits.")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--connections", type=int, default=1024)
    parser.add_argument("--services", type=int, default=20)
    parser.add_argument("--pages", type=int, default=50)
    options = parser.parse_args()
    # No second page during the measurement, and a receiver that the SSRF check allows.
    environment = {
        **os.environ,
        "ESCALATION_TIMEOUT_MINUTES": "60",
        "DEFAULT_TEAM": "bench",
        "LOG_LEVEL": "WARNING",
        "WEBHOOK_ALLOWED_NETWORKS": f"{own_address()}/32",
    }
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        data = Path(folder)
        os.chmod(folder, 0o755)  # noqa: PTH101, S103 - run as root, PostgreSQL runs as another user
        async with receiver() as arriving, tocsin(data, environment) as running:
            pages = await paging(running, arriving, options.pages)
            alerts = await throughput(running, options)
            query(running.dsn, "CREATE TABLE bench_insert (id bigserial PRIMARY KEY, service text, message text)")
            inserts = await pgbench(running.dsn, seconds=options.seconds, connections=24)
        async with bare_server() as url:
            bare = await wrk(url, seconds=options.seconds, connections=options.connections, services=options.services)
    report(alerts, bare["requests"] / bare["seconds"], inserts, pages)


def report(alerts: dict[str, Any], bare: float, inserts: float, pages: list[float]) -> None:
    """Print the figures beside their limits."""
    table = Table(title=f"Tocsin on {os.cpu_count()} cores, with its load and database")
    for column in ("measured", "figure", "limit in the same run", "share"):
        table.add_column(column, justify="left" if column == "measured" else "right")
    per_second = alerts["per_second"]
    table.add_row("alerts/s, durable and correlated", f"{per_second:,.0f}", "", "")
    table.add_row("", "", f"{bare:,.0f} aiohttp + pydantic alone", f"{per_second / bare:.0%}")
    table.add_row("", "", f"{inserts:,.0f} single-row durable inserts (pgbench)", f"{per_second / inserts:.0%}")
    table.add_row(
        "response to an alert under that load, p50 / p99", f"{alerts['p50_ms']:.0f} / {alerts['p99_ms']:.0f} ms", "", ""
    )
    table.add_row("alerts, incidents", f"{alerts['linked']:,} in {alerts['incidents']}", "", "")
    median, worst = statistics.median(pages) * 1000, max(pages) * 1000
    table.add_row("alert to delivered page, median / worst", f"{median:.0f} / {worst:.0f} ms", "", "")
    Console(file=sys.stdout, width=120).print(table)


if __name__ == "__main__":
    asyncio.run(main())
