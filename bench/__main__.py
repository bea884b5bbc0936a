"""Measure Tocsin at its default settings, each figure beside its limit in the same run on this machine.

python -m bench [--connections 16 64 256 1024] [--seconds 10] [--pages 50] [--filled]
"""

import argparse
import asyncio
import os
import statistics
import sys
from collections.abc import Sequence
from typing import Any

import aiohttp
from rich.console import Console
from rich.table import Table
from tests.support.cli.processes import data_folder

from bench import filled
from bench.ingestion import SHARE_OF_LOAD, Rate, rate, with_incident
from bench.overload import Overload, overload
from bench.processes import Running, bare_server, pgbench, tocsin
from bench.query import query
from bench.receiver import Receiver, listening, own_address, receiver
from bench.storm import BROWSERS, PagedIncidents, Storm, storm
from bench.usage import memory_mb
from bench.views import PAGES, QUERIES, Views
from tocsin.kernel import clock

USUAL_CONNECTIONS = 64
"""For the loads that are measured once."""
PGBENCH_CONNECTIONS = 24


async def paging(running: Running, arriving: Receiver, pages: int) -> list[float]:
    """Return the seconds from the POST of an alert to the arrival of its page, for *pages* alerts to an idle system."""
    seconds = []
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        await page_by_webhook(session, running, arriving.url)
        for number in range(pages):
            alert = {"service": f"page-{number}", "severity": "critical", "message": "one page"}
            started = clock.monotonic()
            async with session.post(running.url(8001) + "/api/v1/alerts", json=alert):
                pass
            seconds.append(await arriving.next_arrival() - started)
            await clock.sleep(0.1)  # idle again
    return seconds


async def page_by_webhook(session: aiohttp.ClientSession, running: Running, url: str) -> None:
    """Put a team on call for everything that is paged at *url*."""
    member = {"name": "Bench", "email": "bench@example.org", "contacts": [{"channel": "webhook", "address": url}]}
    team = {"team": "bench", "rotation_type": "weekly", "members": [member]}
    schedules = running.url(8003) + "/api/v1/schedules"
    async with session.get(schedules) as response:
        known = {item["team"]: item["id"] for item in (await response.json())["items"]}
    if "bench" in known:
        async with session.put(f"{schedules}/{known['bench']}", json=team):
            return
    async with session.post(schedules, json=team):
        return


async def measure(running: Running, bare_url: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run every measurement, the idle ones first."""
    async with receiver() as arriving:
        pages = await paging(running, arriving, options.pages)
    views = Views({**PAGES, **QUERIES})
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        await views.look(session, running, times=options.pages)
    rates = [
        await rate(running, bare_url, "new", connections=number, seconds=options.seconds)
        for number in options.connections
    ]
    usual = min(rates, key=lambda measured: abs(measured.connections - USUAL_CONNECTIONS))
    answered = await with_incident(running, usual, seconds=options.seconds)
    rates += [
        await rate(running, bare_url, load, connections=USUAL_CONNECTIONS, seconds=options.seconds)
        for load in ("repeats", "payloads")
    ]
    paged = PagedIncidents()
    async with listening(paged.receive) as url, aiohttp.ClientSession(raise_for_status=True) as session:
        await page_by_webhook(session, running, f"{url}/storm")
        stormy = await storm(running, paged)
        overloaded = await overload(running, paged, seconds=2 * options.seconds)
    memory = memory_mb(running)
    query(running.dsn, "CREATE TABLE bench_insert (id bigserial PRIMARY KEY, service text, message text)")
    inserts = await pgbench(running.dsn, seconds=options.seconds, connections=PGBENCH_CONNECTIONS)
    return {
        "ready": running.ready_seconds,
        "pages": pages,
        "views": views,
        "rates": rates,
        "answered": answered,
        "storm": stormy,
        "overload": overloaded,
        "memory": memory,
        "inserts": inserts,
    }


async def main() -> None:
    """Run all measurements and print the tables."""
    parser = argparse.ArgumentParser(prog="bench", description="Measure Tocsin beside its limits.")
    parser.add_argument("--connections", type=int, nargs="+", default=[16, 64, 256, 1024])
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--pages", type=int, default=50)
    parser.add_argument("--filled", action="store_true", help="fill the database with a long history first")
    options = parser.parse_args()
    # No second page during the measurement, and a receiver that the SSRF check allows. The rest is the default.
    environment = {
        **os.environ,
        "ESCALATION_TIMEOUT_MINUTES": "60",
        "DEFAULT_TEAM": "bench",
        "WEBHOOK_ALLOWED_NETWORKS": f"{own_address()}/32",
    }
    with data_folder() as folder:
        if options.filled:
            await filled.age_database(folder)
            environment |= filled.KEPT
        async with tocsin(folder, environment) as running, bare_server() as bare_url:
            history = await filled.fill(running.dsn) if options.filled else "an empty database"
            found = await measure(running, bare_url, options)
    console = Console(file=sys.stdout, width=120)
    console.print(f"Tocsin on {os.cpu_count()} cores, with its load and PostgreSQL, default settings, {history}")
    console.print(rates_table(found["rates"]))
    console.print(figures_table(found))


def rates_table(rates: Sequence[Rate]) -> Table:
    """Return a row for each rate, beside the bare server's."""
    table = Table()
    for column in ("load", "connections", "alerts/s", "bare", "share", "p50 / p99 ms", "bare p50", "CPU per alert"):
        table.add_column(column, justify="left" if column == "load" else "right")
    for measured in rates:
        table.add_row(
            measured.load,
            f"{measured.connections:,}",
            f"{measured.per_second:,.0f}",
            f"{measured.bare:,.0f}",
            f"{measured.per_second / measured.bare:.0%}",
            f"{measured.p50_ms:.0f} / {measured.p99_ms:.0f}",
            f"{measured.bare_p50_ms:.0f}",
            f"{measured.cpu_us:,.0f} µs",
        )
    return table


def figures_table(found: dict[str, Any]) -> Table:
    """Return the other figures."""
    table = Table("measured", "figure")
    answered, pages = found["answered"], sorted(found["pages"])
    p99 = pages[round(0.99 * (len(pages) - 1))]
    table.add_row("ready after the first start", f"{found['ready']:.1f} s")
    table.add_row(
        f"answered with the incident at {SHARE_OF_LOAD:.0%} of that load",
        f"{answered['share']:.1%} of {answered['per_second']:,.0f} alerts/s",
    )
    table.add_row("alert to delivered page, idle, median / p99", f"{_ms(statistics.median(pages))} / {_ms(p99)}")
    _add_views(table, "alone", found["views"])
    _add_storm(table, found["storm"])
    _add_overload(table, found["overload"])
    table.add_row("memory", ", ".join(f"{name} {size:.0f} MB" for name, size in sorted(found["memory"].items())))
    table.add_row("single-row durable inserts (pgbench)", f"{found['inserts']:,.0f} per second")
    return table


def _add_storm(table: Table, stormy: Storm) -> None:
    paged = "not within the limit" if stormy.paged is None else f"{stormy.paged:.1f} s"
    table.add_row(
        "storm: sent in / correlated after the last response", f"{stormy.posted:.1f} / {stormy.correlated:.1f} s"
    )
    table.add_row(
        "storm: every incident named by a delivered page after",
        f"{paged} ({stormy.named:,} of {stormy.incidents:,} in {stormy.messages:,} messages)",
    )
    _add_views(table, "in the storm", stormy.views)
    failed = f"{len(stormy.refreshes.failed)} of {len(stormy.refreshes.seconds)} requests failed"
    table.add_row(f"storm: the web service with {BROWSERS} browsers", f"{stormy.web_cores:.2f} cores, {failed}")


def _add_views(table: Table, when: str, views: Views) -> None:
    for name, found in views.pages.items():
        figures = f"{_ms(found.quantile(0.5))} / {_ms(found.quantile(0.95))}, {len(found.failed)}"
        table.add_row(f"{name} {when}, p50 / p95, failed", figures)


def _add_overload(table: Table, found: Overload) -> None:
    for what, responses in (("acknowledge", found.acknowledged), ("/health", found.health)):
        failed = f"{len(responses.failed)} of {len(responses.seconds)}"
        figures = f"{_ms(responses.quantile(0.5))} / {_ms(responses.quantile(0.99))}, {failed}"
        table.add_row(f"{what} at ten times the load, p50 / p99, failed", figures)
    table.add_row(
        "alerts meanwhile: accepted, refused, p50 / p99",
        f"{found.accepted:,.0f} and {found.refused:,.0f} per second, {found.p50_ms:.0f} / {found.p99_ms:,.0f} ms",
    )
    table.add_row(
        "each sent to incident management / all correlated after", f"{found.sent:.2f} times / {found.correlated:.1f} s"
    )
    table.add_row("accepted alerts without an incident, incidents without a page", f"{found.lost}, {found.unpaged}")
    largest = ", ".join(f"{name} {size:.0f} MB" for name, size in sorted(found.peak_mb.items()))
    table.add_row("largest memory meanwhile", largest)


def _ms(seconds: float) -> str:
    return f"{seconds * 1_000:.0f} ms"


if __name__ == "__main__":
    asyncio.run(main())
