"""Measure open event streams: memory, database connections, and the delay until a change reaches all of them.

python -m bench.streams [--streams 250]
"""

import argparse
import asyncio
import os
import statistics
import sys
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
from rich.console import Console
from rich.table import Table
from tests.support.cli.processes import data_folder

from bench.processes import Running, tocsin
from bench.query import query
from bench.usage import memory_mb
from tocsin.kernel import clock

WARM = 20
"""Streams opened and closed first, so that one-time allocations are not counted."""
ROUNDS = 20
MEASURED = ("web", "incidents")
OF_INCIDENTS = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'tocsin-incidents%'"
LISTENERS = OF_INCIDENTS + " AND query ILIKE 'LISTEN%'"


async def event(response: aiohttp.ClientResponse) -> bytes:
    """Return the data of the next event of a stream."""
    while line := await response.content.readline():
        if line.startswith(b"data: "):
            return line
    sys.exit("A stream ended.")


async def opened(stack: AsyncExitStack, session: aiohttp.ClientSession, url: str, number: int) -> list[Any]:
    """Open *number* streams; return them once each has sent its position."""
    streams = [await stack.enter_async_context(session.get(url)) for _ in range(number)]
    await asyncio.gather(*(event(stream) for stream in streams))
    return streams


async def measure(running: Running, number: int) -> dict[str, Any]:
    """Open the streams through the web service, as browsers do, and change an incident ROUNDS times."""
    url = running.url(8080) + "/api/v1/incidents"
    timeout = aiohttp.ClientTimeout(total=None)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector, raise_for_status=True) as session:
        new = {"title": "Bench", "service": "bench", "severity": "low"}
        async with session.post(url, json=new) as response:
            incident = (await response.json())["number"]
        async with AsyncExitStack() as stack:
            await opened(stack, session, url + "/stream", WARM)
        await clock.sleep(1)  # both sides have closed their connections
        before, connections = memory_mb(running), query(running.dsn, OF_INCIDENTS)[0]
        async with AsyncExitStack() as stack:
            streams = await opened(stack, session, url + "/stream", number)
            seconds = [await _round(session, f"{url}/{incident}", streams) for _ in range(ROUNDS)]
            after = memory_mb(running)
            return {
                "memory": {name: after[name] - before[name] for name in MEASURED},
                "listeners": query(running.dsn, LISTENERS)[0],
                "more_connections": query(running.dsn, OF_INCIDENTS)[0] - connections,
                "seconds": seconds,
            }


async def _round(session: aiohttp.ClientSession, url: str, streams: list[Any]) -> float:
    started = clock.monotonic()
    async with session.patch(url, json={"notes": "A change."}):
        pass
    await asyncio.gather(*(event(stream) for stream in streams))
    return clock.monotonic() - started


async def main() -> None:
    """Run the measurement and print one table."""
    parser = argparse.ArgumentParser(prog="bench.streams", description="Measure what open event streams cost.")
    parser.add_argument("--streams", type=int, default=250)
    number = parser.parse_args().streams
    with data_folder() as folder:
        async with tocsin(folder, os.environ) as running:
            found = await measure(running, number)
    table = Table(title=f"{number} open event streams through the web service, {os.cpu_count()} cores")
    table.add_column("measured")
    table.add_column("figure", justify="right")
    for name, megabytes in found["memory"].items():
        table.add_row(f"additional memory of {name}", f"{megabytes:.0f} MB")
    table.add_row("total", f"{sum(found['memory'].values()):.0f} MB")
    table.add_row("connections that listen on the database", str(found["listeners"]))
    table.add_row("additional connections to the database", str(found["more_connections"]))
    median, worst = statistics.median(found["seconds"]) * 1000, max(found["seconds"]) * 1000
    table.add_row("a change reaches all of them, median / worst", f"{median:.0f} / {worst:.0f} ms")
    Console(file=sys.stdout, width=100).print(table)


if __name__ == "__main__":
    asyncio.run(main())
