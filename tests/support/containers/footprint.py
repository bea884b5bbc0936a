"""The resources of the services: growth that remains after a fault is a leak."""

from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from tests.support.containers.stack import SERVICES, Stack
from tests.support.postgres import run
from tests.support.system import QUICK
from tocsin.kernel import clock

PORT_OF: Final = {"alerts": 8001, "incidents": 8002, "oncall": 8003, "notifications": 8004, "web": 8080}
GROWTH: Final = 1.1
ROOM: Final = {"process_resident_memory_bytes": 16 * 2**20, "process_open_fds": 10}
"""Additional allowance: a cache that fills, a client of the stream."""
LAG: Final = "tocsin_event_loop_lag_seconds"
LAG_SECONDS: Final = 0.1
WATCHED_SECONDS: Final = 2.5
CONNECTIONS: Final = int(QUICK["DB_POOL_SIZE"]) + 1
"""Of each replica: the pool, and one for LISTEN."""
LOGGED_IN: Final = """
    SELECT usename AS role, count(*) AS many FROM pg_stat_activity WHERE usename LIKE 'tocsin_%%' GROUP BY 1
    """
STATES: Final = "ServiceDown|ReplicaDown|IncidentsWithoutNextAction|PagesOverdue|OutboxStuck|WorkerNotSucceeding"
"""Alerts about the present state; alerts about errors remain for an hour."""

Measured = dict[tuple[str, str], float]


async def measure(stack: Stack) -> Measured:
    """Return the process metrics of each service, which has one replica, and its counts of event loop lag."""
    found: Measured = {}
    for name, service in SERVICES.items():
        async with stack.session.get(f"http://{stack.address(service)}:{PORT_OF[name]}/metrics") as response:
            text = await response.text()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name in ROOM or sample.name == f"{LAG}_count":
                    found[service, sample.name] = sample.value
                elif sample.name == f"{LAG}_bucket" and float(sample.labels["le"]) == LAG_SECONDS:
                    found[service, "in time"] = sample.value
    return found


async def not_as_before(stack: Stack, before: Measured, *, alone: bool) -> dict[str, list[str]]:
    """Return the resources that have grown since *before*, and the firing alerts.

    *alone* on its machine, also the services whose event loop lags now.
    """
    first = await measure(stack)
    await clock.sleep(WATCHED_SECONDS)
    now = await measure(stack)
    grown = [
        f"{service}: {name} is {now[service, name]:,.0f} after {value:,.0f}"
        for (service, name), value in before.items()
        if name in ROOM and now[service, name] > value * GROWTH + ROOM[name]
    ]
    late = [
        service
        for service in SERVICES.values()
        if alone
        and now[service, f"{LAG}_count"] - first[service, f"{LAG}_count"]
        > now[service, "in time"] - first[service, "in time"]
    ]
    many = [f"{row['role']}: {row['many']}" for row in run(stack.dsn(), LOGGED_IN) if row["many"] > CONNECTIONS]
    query = f'ALERTS{{alertstate="firing", alertname=~"{STATES}"}}'
    firing = (await stack.get("prometheus", "/api/v1/query", query=query))["data"]["result"]
    found = {
        "resources have grown": grown,
        "an event loop lags": late,
        "a service has too many connections": many,
        "an alert is firing": [f"{item['metric']['alertname']} {item['metric'].get('service')}" for item in firing],
    }
    return {what: names for what, names in found.items() if names}
