"""What the services hold of their machine and of the database: what has grown over a fault and stays so has leaked."""

from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from tests.support.containers.stack import SERVICES, Stack
from tests.support.postgres import run
from tests.support.system import QUICK
from tocsin.kernel import clock

PORT_OF: Final = {"alerts": 8001, "incidents": 8002, "oncall": 8003, "notifications": 8004, "web": 8080}
GROWTH: Final = 1.1
ROOM: Final = {"process_resident_memory_bytes": 16 * 2**20, "process_open_fds": 10}
"""What may come on top: a cache that fills, a stream that somebody follows."""
LAG: Final = "tocsin_event_loop_lag_seconds"
LAG_SECONDS: Final = 0.1
WATCHED_SECONDS: Final = 2.5
CONNECTIONS: Final = int(QUICK["DB_POOL_SIZE"]) + 1
"""Of each replica: the pool, and one that listens."""
LOGGED_IN: Final = """
    SELECT usename AS role, count(*) AS many FROM pg_stat_activity WHERE usename LIKE 'tocsin_%%' GROUP BY 1
    """
STATES: Final = "ServiceDown|ReplicaDown|IncidentsWithoutNextAction|PagesOverdue|OutboxStuck|WorkerNotSucceeding"
"""Alerts that say how things are now; those about errors remember them for an hour."""

Measured = dict[tuple[str, str], float]


async def measure(stack: Stack) -> Measured:
    """Return what each service, of one replica each, says of its process, and how often its loop was late or not."""
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
    """Return what a service holds more of than *before*, and what Prometheus complains of.

    *alone* on its machine, also whose event loop is late now.
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
    complaints = (await stack.get("prometheus", "/api/v1/query", query=query))["data"]["result"]
    found = {
        "a service holds more than before": grown,
        "an event loop is late": late,
        "a service has too many connections": many,
        "an alert goes on": [f"{item['metric']['alertname']} {item['metric'].get('service')}" for item in complaints],
    }
    return {what: names for what, names in found.items() if names}
