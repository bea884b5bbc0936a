"""The throughput of one, two and three replicas, and the processor use of each service: `make scale-demo`.

Counted is what is durable and has its incident, over the time until the last one has. The last line says where the
limit is: with all processors in use, more replicas share what one had.
"""

import asyncio
import os
import sys
from collections import Counter
from typing import Final

import psutil
from aiohttp import ClientSession, ClientTimeout
from bench.processes import wrk

from tests.support.containers.stack import USER_OF, Stack, beside, docker
from tests.support.postgres import run
from tests.support.waiting import eventually
from tocsin.kernel import clock
from tocsin.kernel.ids import new_id

SCALED: Final = ("alert-ingestion", "incident-management")
SECONDS: Final = 15
IN_USE: Final = 0.9
"""The processor use that counts as saturated."""
CONNECTIONS: Final = 256
UNFORWARDED: Final = "SELECT count(*) AS many FROM alerts.correlation WHERE forwarded_version < version"
SENDER: Final = "the sender and the system"
LINKED: Final = "SELECT count(*) AS many FROM alerts.correlation WHERE incident_id IS NOT NULL"


async def main() -> None:
    """Start the system, measure, remove it."""
    stack = Stack(f"tocsin-scale-{new_id().hex[-8:]}", {"LOG_LEVEL": "WARNING", "ESCALATION_TIMEOUT_MINUTES": "600"})
    await beside(stack.compose, "build", "--quiet", *USER_OF)
    sys.stdout.write(f"{os.cpu_count()} processors; replicas of {' and of '.join(SCALED)}\n")
    used: Counter[str] = Counter()
    try:
        async with ClientSession(timeout=ClientTimeout(total=10)) as stack.session:
            for replicas in (1, 2, 3):
                await beside(stack.up, "--no-recreate", *(f"--scale={name}={replicas}" for name in SCALED))
                line, used = await measure(stack)
                sys.stdout.write(f"{replicas}: {line}\n")
                sys.stdout.flush()
        sys.stdout.write(f"{limit(used, os.cpu_count() or 1)}\n")
    finally:
        await beside(stack.down)


async def measure(stack: Stack) -> tuple[str, Counter[str]]:
    """Return a line with throughput and latency, and the processor use of each service."""
    dsn = stack.dsn()
    before, started = run(dsn, LINKED)[0]["many"], clock.monotonic()
    load = asyncio.get_running_loop().create_task(
        wrk(stack.url("alerts"), "new", seconds=SECONDS, connections=CONNECTIONS, services=20)
    )
    await clock.sleep(SECONDS / 2)
    busy = await beside(shares, stack)
    measured = await load
    await eventually(lambda: run(dsn, UNFORWARDED)[0]["many"] == 0, timeout=120, every=0.1)
    per_second = (run(dsn, LINKED)[0]["many"] - before) / (clock.monotonic() - started)
    answers = f"p50 {measured['p50_ms']:.0f} ms, p99 {measured['p99_ms']:.0f} ms, {measured['failed']} failed"
    told = ", ".join(f"{name} {percent / 100:.2f}" for name, percent in busy.most_common(6))
    return f"{per_second:6,.0f} alerts/s   {answers}   processors: {told}", busy


def limit(used: Counter[str], processors: int) -> str:
    """Return the bottleneck of the last measurement, from the processor use in per cent."""
    total, (busiest, most) = used.total() / 100, max(used.items(), key=lambda item: (item[0] != SENDER, item[1]))
    if total > IN_USE * processors:
        return (
            f"The limit is this machine: {total:.1f} of its {processors} processors are at work, {most / 100:.1f} "
            f"for {busiest}. More replicas share what there is; they take in more on a machine with more."
        )
    return (
        f"The limit is not this machine: {total:.1f} of its {processors} processors are at work. The busiest, "
        f"{busiest}, uses {most / 100:.1f}: see what compose.yaml allows it; all else waits for it or for the disk."
    )


def shares(stack: Stack) -> Counter[str]:
    """Return the current processor use of each service, and of everything else, in per cent of one processor."""
    used: Counter[str] = Counter()
    psutil.cpu_percent()  # from here on
    lines = docker("stats", "--no-stream", "--format", "{{.Name}} {{.CPUPerc}}").splitlines()
    for name, percent in (line.split() for line in lines):
        if name.startswith(stack.project):
            used[name.removeprefix(f"{stack.project}-").rpartition("-")[0]] += round(float(percent.rstrip("%")))
    used[SENDER] = max(0, round(psutil.cpu_percent() * (os.cpu_count() or 1)) - used.total())
    return used


if __name__ == "__main__":
    asyncio.run(main())
