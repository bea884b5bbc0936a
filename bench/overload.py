"""Ten times the load that can be taken, while people open and acknowledge incidents, and probes read `/health`."""

from dataclasses import dataclass
from functools import partial
from typing import Final

import aiohttp

from bench.ingestion import LINKED, correlated
from bench.processes import Running, wrk
from bench.query import query
from bench.responses import Responses
from bench.storm import PAGED_SECONDS, PagedIncidents
from bench.usage import peak_memory_mb, reset_peak_memory
from bench.views import read
from tocsin.kernel import clock, tasks
from tocsin.kernel.ids import new_id

CONNECTIONS: Final = 2_000
"""Ten times as many as fill every batch, whose size is 200 alerts at most: each sends its next alert at once."""
SERVICES: Final = 50
"""Each gets an incident, which must be paged."""
PEOPLE_PER_SECOND: Final = 5
"""Acknowledgements; each is of an incident that was opened by hand just before."""
PORTS: Final = (8001, 8002, 8003, 8004, 8080)
FORWARDED: Final = "tocsin_alerts_forwarded_total"
WRK_TIMEOUT_SECONDS: Final = 20


@dataclass(frozen=True, slots=True)
class Overload:
    """The figures of an overload."""

    acknowledged: Responses
    health: Responses
    accepted: float
    """Alerts that were accepted, per second."""
    refused: float
    """Requests that were refused with 503, per second."""
    p50_ms: float
    p99_ms: float
    """Response times of all alerts."""
    sent: float
    """How often an accepted alert was sent to incident management, on average."""
    correlated: float
    """Seconds from the last response until every alert was correlated."""
    lost: int
    """Accepted alerts without an incident."""
    unpaged: int
    """Unacknowledged incidents that no delivered page named."""
    peak_mb: dict[str, float]


async def overload(running: Running, pages: PagedIncidents, *, seconds: int) -> Overload:
    """Measure for *seconds*, and then until every accepted alert is correlated and every incident is paged."""
    acknowledged, health = Responses(), Responses()
    linked, started_at = query(running.dsn, f"SELECT ({LINKED}), tocsin.now()")
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(raise_for_status=True, timeout=timeout) as session:
        forwarded = await _forwarded(session, running)
        reset_peak_memory(running)
        people = tasks.create_task(_people(session, running, acknowledged, health), name="people")
        measured = await wrk(
            running.url(8001),
            "new",
            seconds=seconds,
            connections=CONNECTIONS,
            services=SERVICES,
            timeout_seconds=WRK_TIMEOUT_SECONDS,
        )
        await tasks.cancel(people)
        ended = clock.monotonic()
        await correlated(running)
        took = clock.monotonic() - ended
        forwarded = await _forwarded(session, running) - forwarded
    accepted = measured["requests"] - measured["refused"]
    found = query(running.dsn, LINKED)[0] - linked
    return Overload(
        acknowledged=acknowledged,
        health=health,
        accepted=accepted / measured["seconds"],
        refused=measured["refused"] / measured["seconds"],
        p50_ms=measured["p50_ms"],
        p99_ms=measured["p99_ms"],
        sent=forwarded / found,
        correlated=took,
        lost=max(0, accepted - found),
        unpaged=await _unpaged(running, pages, str(started_at)),
        peak_mb=peak_memory_mb(running),
    )


async def _people(session: aiohttp.ClientSession, running: Running, acknowledged: Responses, health: Responses) -> None:
    """Start PEOPLE_PER_SECOND acknowledgements and as many probes, whether or not earlier ones have ended."""
    async with tasks.task_group() as group:
        number = 0
        while True:
            group.create_task(_acknowledge(session, running, acknowledged), name="person")
            probe = partial(read, session, running.url(PORTS[number % len(PORTS)]) + "/health")
            group.create_task(health.record(probe), name="probe")
            number += 1
            await clock.sleep(1 / PEOPLE_PER_SECOND)


async def _acknowledge(session: aiohttp.ClientSession, running: Running, acknowledged: Responses) -> None:
    incidents = running.url(8080) + "/api/v1/incidents"
    given = {"service": f"by-hand-{new_id()}", "severity": "high", "title": "opened by hand"}
    opened = Responses()
    found: list[str] = []

    async def open_one() -> None:
        async with session.post(incidents, json=given) as response:
            found.append((await response.json())["id"])

    async def acknowledge() -> None:
        async with session.patch(f"{incidents}/{found[0]}", json={"status": "acknowledged", "actor": "bench"}):
            pass

    await opened.record(open_one)
    acknowledged.failed += opened.failed
    if found:
        await acknowledged.record(acknowledge)


async def _forwarded(session: aiohttp.ClientSession, running: Running) -> float:
    async with session.get(running.url(8001) + "/metrics") as response:
        lines = (await response.text()).splitlines()
    return sum(float(line.split()[1]) for line in lines if line.startswith(FORWARDED + " "))


async def _unpaged(running: Running, pages: PagedIncidents, since: str) -> int:
    """Wait until every unacknowledged incident is named by a page; return the number of those that are not."""
    deadline = clock.monotonic() + PAGED_SECONDS
    while True:
        opened = query(
            running.dsn,
            f"""
            SELECT COALESCE(array_agg(id::text), '{{}}') FROM incidents.incident
            WHERE created_at >= '{since}' AND acknowledged_at IS NULL
            """,  # noqa: S608 - the database's own time
        )[0]
        unpaged = len(set(opened) - pages.seen)
        if not unpaged or clock.monotonic() > deadline:
            return unpaged
        await clock.sleep(0.2)
