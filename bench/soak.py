"""Memory of each process over an hour at half of the load that fills the machine.

python -m bench.soak [--minutes 60]
"""

import argparse
import asyncio
import os
import sys

from rich.console import Console
from rich.table import Table
from tests.support.cli.processes import data_folder

from bench.ingestion import SERVICES
from bench.processes import tocsin, wrk
from bench.usage import memory_mb

CONNECTIONS = 64
TRIAL_SECONDS = 10
ROWS = 12
"""How often the memory is read."""


async def main() -> None:
    """Measure the full rate, send half of it, and print the memory at twelve times."""
    parser = argparse.ArgumentParser(prog="bench.soak", description="Measure the memory over an hour at half load.")
    parser.add_argument("--minutes", type=int, default=60)
    minutes = parser.parse_args().minutes
    with data_folder() as folder:
        async with tocsin(folder, os.environ) as running:
            url = running.url(8001)
            full = await wrk(url, "new", seconds=TRIAL_SECONDS, connections=CONNECTIONS, services=SERVICES)
            # At half load, a response takes about a quarter as long.
            pause_ms = 2 * 1_000 * CONNECTIONS * full["seconds"] / full["requests"] - full["p50_ms"] / 4
            table = Table("minutes", *sorted(memory_mb(running)), "alerts sent")
            seconds, sent = minutes * 60 // ROWS, 0
            for row in range(ROWS):
                measured = await wrk(
                    url, "new", seconds=seconds, connections=CONNECTIONS, services=SERVICES, pause_ms=pause_ms
                )
                if measured["failed"]:
                    sys.exit(f"{measured['failed']} of {measured['requests']} requests failed.")
                sent += measured["requests"]
                sizes = [f"{size:.0f} MB" for _, size in sorted(memory_mb(running).items())]
                table.add_row(f"{(row + 1) * seconds / 60:.1f}", *sizes, f"{sent:,}")
    Console(file=sys.stdout, width=120).print(table)


if __name__ == "__main__":
    asyncio.run(main())
