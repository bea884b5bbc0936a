"""Alerts per second at several numbers of connections, each beside a server that only parses the same requests."""

import sys
from dataclasses import dataclass
from typing import Any, Final

from bench.processes import Running, wrk
from bench.query import query
from bench.usage import cpu_seconds, used_between
from tocsin.kernel import clock

SETTLE_SECONDS: Final = 120
"""How long correlation of the last alerts may take."""
SERVICES: Final = 20
SHARE_OF_LOAD: Final = 0.8
"""The part of the maximum rate at which alerts should be answered with their incident."""
ALERTS_OF_REQUEST: Final = {"new": 1, "repeats": 1, "payloads": 100}
LINKED: Final = """
    SELECT COALESCE(sum(occurrences), 0) FROM alerts.alert JOIN alerts.correlation ON alert_id = alert.id
    WHERE incident_id IS NOT NULL
    """
"""Reports whose alert has an incident."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A measurement of one load, beside the bare server."""

    load: str
    connections: int
    per_second: float
    """Alerts per second, durable and correlated."""
    bare: float
    """Alerts per second that the bare server parsed."""
    p50_ms: float
    p99_ms: float
    bare_p50_ms: float
    cpu_us: float
    """Processor time of all processes of Tocsin and PostgreSQL per alert, in microseconds."""


async def rate(running: Running, bare_url: str, load: str, *, connections: int, seconds: int) -> Rate:
    """Measure *load*, then the bare server with the same requests."""
    (linked,) = query(running.dsn, LINKED)
    before, started = cpu_seconds(running), clock.monotonic()
    measured = await wrk(running.url(8001), load, seconds=seconds, connections=connections, services=SERVICES)
    await correlated(running)
    took = clock.monotonic() - started
    used = used_between(before, cpu_seconds(running))
    if measured["failed"]:
        sys.exit(f"{measured['failed']} of {measured['requests']} requests failed.")
    alerts = measured["requests"] * ALERTS_OF_REQUEST[load]
    found = query(running.dsn, LINKED)[0] - linked
    if found < alerts:
        sys.exit(f"{alerts} alerts were accepted, {found} have an incident.")
    bare = await wrk(bare_url, load, seconds=max(3, seconds // 2), connections=connections, services=SERVICES)
    return Rate(
        load=load,
        connections=connections,
        per_second=alerts / took,
        bare=bare["requests"] * ALERTS_OF_REQUEST[load] / bare["seconds"],
        p50_ms=measured["p50_ms"],
        p99_ms=measured["p99_ms"],
        bare_p50_ms=bare["p50_ms"],
        cpu_us=used / alerts * 1e6,
    )


async def with_incident(running: Running, full: Rate, *, seconds: int) -> dict[str, Any]:
    """Send new alerts at SHARE_OF_LOAD of the rate *full*; return the rate and the share answered 201, not 202."""
    target = SHARE_OF_LOAD * full.per_second
    measured = await wrk(
        running.url(8001),
        "new",
        seconds=seconds,
        connections=full.connections,
        services=SERVICES,
        pause_ms=max(0.0, full.connections / target * 1_000 - full.p50_ms * SHARE_OF_LOAD / 2),
    )
    await correlated(running)
    if measured["failed"]:
        sys.exit(f"{measured['failed']} of {measured['requests']} requests failed.")
    total = measured["created"] + measured["accepted"]
    return {"per_second": measured["requests"] / measured["seconds"], "share": measured["created"] / total}


async def correlated(running: Running) -> None:
    """Wait until no alert waits for its correlation; exit if it takes more than SETTLE_SECONDS."""
    started = clock.monotonic()
    while query(running.dsn, "SELECT EXISTS (SELECT FROM alerts.correlation WHERE forwarded_version < version)")[0]:
        if clock.monotonic() - started > SETTLE_SECONDS:
            sys.exit("Not every alert was correlated in time.")
        await clock.sleep(0.05)
