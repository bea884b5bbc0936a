"""How many alerts a second one, two and three replicas take, and who has how much to do meanwhile: `make scale-demo`.

Counted is what is durable and has its incident, over the time until the last one has. The limit is where the processors
are all in use, which the last column shows: on a machine with few of them, more replicas share what one had.
"""

import asyncio
import os
import sys
from collections import Counter
from typing import Final

from aiohttp import ClientSession, ClientTimeout
from bench.processes import wrk

from tests.containers.stack import USER_OF, Stack, beside, docker
from tests.support.postgres import run
from tests.support.waiting import eventually
from tocsin.kernel import clock
from tocsin.kernel.ids import new_id

SCALED: Final = ("alert-ingestion", "incident-management")
SECONDS: Final = 15
CONNECTIONS: Final = 256
UNTOLD: Final = "SELECT count(*) AS many FROM alerts.correlation WHERE told_version < version"
LINKED: Final = "SELECT count(*) AS many FROM alerts.correlation WHERE incident_id IS NOT NULL"


async def main() -> None:
    """Start the system, measure, remove it."""
    stack = Stack(f"tocsin-scale-{new_id().hex[-8:]}", {"LOG_LEVEL": "WARNING", "ESCALATION_TIMEOUT_MINUTES": "600"})
    await beside(stack.compose, "build", "--quiet", *USER_OF)
    sys.stdout.write(f"{os.cpu_count()} processors; replicas of {' and of '.join(SCALED)}\n")
    try:
        async with ClientSession(timeout=ClientTimeout(total=10)) as stack.session:
            for replicas in (1, 2, 3):
                await beside(stack.up, "--no-recreate", *(f"--scale={name}={replicas}" for name in SCALED))
                sys.stdout.write(f"{replicas}: {await measure(stack)}\n")
                sys.stdout.flush()
    finally:
        await beside(stack.down)


async def measure(stack: Stack) -> str:
    """Return a line with the alerts a second, how long each took, and each service's share of the processors."""
    dsn = stack.dsn()
    before, started = run(dsn, LINKED)[0]["many"], clock.monotonic()
    load = asyncio.get_running_loop().create_task(
        wrk(stack.url("alerts"), seconds=SECONDS, connections=CONNECTIONS, services=20)
    )
    await clock.sleep(SECONDS / 2)
    busy = await beside(shares, stack)
    measured = await load
    await eventually(lambda: run(dsn, UNTOLD)[0]["many"] == 0, timeout=120, every=0.1)
    per_second = (run(dsn, LINKED)[0]["many"] - before) / (clock.monotonic() - started)
    answers = f"p50 {measured['p50_ms']:.0f} ms, p99 {measured['p99_ms']:.0f} ms, {measured['failed']} failed"
    return f"{per_second:6,.0f} alerts/s   {answers}   busy: {busy}"


def shares(stack: Stack) -> str:
    """Return how many processors each service uses now, the busiest first."""
    used: Counter[str] = Counter()
    lines = docker("stats", "--no-stream", "--format", "{{.Name}} {{.CPUPerc}}").splitlines()
    for name, percent in (line.split() for line in lines):
        if name.startswith(stack.project):
            used[name.removeprefix(f"{stack.project}-").rpartition("-")[0]] += round(float(percent.rstrip("%")))
    return ", ".join(f"{name} {percent / 100:.2f}" for name, percent in used.most_common(5))


if __name__ == "__main__":
    asyncio.run(main())
