"""A service or database that is down degrades its neighbours and stops none; afterwards everything catches up."""

import asyncio
import signal
from uuid import UUID

import pytest
from psycopg2.extensions import parse_dsn

from tests.e2e.conftest import Standing
from tests.support.e2e.fault_night import Drill
from tests.support.e2e.invariants import healed
from tests.support.postgres import Server, run
from tests.support.waiting import eventually
from tocsin.contracts.services import INCIDENT_MANAGEMENT
from tocsin.web.ui.outages import IMPACTS

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


def alert(service: str) -> dict[str, str]:
    """Return an alert of a service that only one test has."""
    return {"service": service, "severity": "critical", "message": "answers 5xx for 7.4 % of requests"}


@pytest.mark.parametrize("service", ["incidents", "oncall", "notifications"])
async def test_alerts_are_accepted_while_a_service_is_down_and_page_once_it_is_back(
    standing: Standing, service: str
) -> None:
    system, world = standing.system, standing.world
    name = f"without-{service}"
    await system[service].kill()
    if service == "incidents":
        accepted = await system.post("alerts", "/api/v1/alerts", alert(name))
        assert (accepted["status"], accepted["incident_id"]) == ("accepted", None)
        alert_id = UUID(accepted["alert_id"])
    else:
        alert_id = UUID((await system.send_alert(alert(name)))["id"])
    assert world.pages_of(name) == []
    await system[service].start()
    page = (await eventually(lambda: world.pages_of(name)))[0]
    await system.patch("incidents", f"/api/v1/incidents/{page.incident_id}", {"status": "acknowledged"})
    await healed(standing.dsn, accepted=[alert_id], service=name)


async def test_a_frozen_service_is_a_503_of_the_gateway_and_a_notice_on_pages_until_it_runs_again(
    standing: Standing,
) -> None:
    system = standing.system
    gateway = await system.add("web").start(GATEWAY_RESPONSE_SECONDS="0.5")
    url = f"{gateway.url}/api/v1/incidents"
    system["incidents"].send(signal.SIGSTOP)
    await eventually(lambda: system["incidents"].paused)
    async with system.session.get(url) as response:
        assert (response.status, response.content_type) == (503, "application/problem+json")
        assert response.headers["Retry-After"]
        assert "incident-management does not respond in time" in (await response.json())["detail"]
    async with system.session.get(f"{gateway.url}/") as response:
        assert response.status == 200
        assert IMPACTS[INCIDENT_MANAGEMENT] in await response.text()
    system["incidents"].send(signal.SIGCONT)

    async def responds() -> bool:
        async with system.session.get(url) as response:
            return response.status == 200

    await eventually(responds)


async def test_without_the_database_alerts_get_a_503_and_are_accepted_once_it_is_back(
    standing: Standing, postgres: Server
) -> None:
    system = standing.system
    drill = Drill(system, standing.world, standing.dsn, name="outage")
    first = await drill.opened("before")
    close_database(standing.dsn, postgres)
    async with system.session.post(system["alerts"].url + "/api/v1/alerts", json=alert("outage")) as response:
        assert response.status == 503
        assert response.headers["Retry-After"]
        assert response.content_type == "application/problem+json"
    async with system.session.get(system["alerts"].url + "/health") as response:
        assert response.status == 200
    async with system.session.get(system["alerts"].url + "/health/ready") as response:
        assert response.status == 503
        assert "database" in (await response.json())["dependencies"]

    sender = asyncio.get_running_loop().create_task(drill.play())  # retries until it succeeds
    open_database(standing.dsn, postgres)
    await sender
    await drill.change(first, "acknowledged")
    assert all(replica.running for replica in system.everyone)
    await healed(standing.dsn, accepted=drill.accepted, service="outage-%")


async def test_a_service_that_starts_before_the_database_waits_for_it(standing: Standing, postgres: Server) -> None:
    system, world = standing.system, standing.world
    close_database(standing.dsn, postgres)
    await system["oncall"].stop()
    await system["oncall"].start(until_ready=False)
    await eventually(lambda: "listening" in system["oncall"].log.rpartition('"stopped"')[2])
    open_database(standing.dsn, postgres)
    for replica in system.everyone:
        await replica.ready()
    incident = (await system.send_alert(alert("early")))["incident_id"]
    await world.first_page(incident)
    await system.patch("incidents", f"/api/v1/incidents/{incident}", {"status": "acknowledged"})


def close_database(dsn: str, postgres: Server) -> None:
    """Refuse new connections to the database and end the present ones."""
    name = parse_dsn(dsn)["dbname"]
    run(postgres.dsn("postgres"), f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    end_all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %(name)s"
    run(postgres.dsn("postgres"), end_all, {"name": name})


def open_database(dsn: str, postgres: Server) -> None:
    """Accept connections to the database again."""
    run(postgres.dsn("postgres"), f"ALTER DATABASE {parse_dsn(dsn)['dbname']} ALLOW_CONNECTIONS true")
