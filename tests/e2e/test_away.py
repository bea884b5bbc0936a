"""A part that is away degrades its neighbours and stops none; when it is back everything catches up by itself."""

import asyncio
import signal
from uuid import UUID

import pytest
from psycopg2.extensions import parse_dsn

from tests.support.e2e.fault_night import Drill
from tests.support.e2e.invariants import healed
from tests.support.e2e.system import World
from tests.support.postgres import Server, run
from tests.support.system import System, running_system
from tests.support.waiting import eventually
from tocsin.kernel import tasks

pytestmark = pytest.mark.slow

ALERT = {"service": "checkout", "severity": "critical", "message": "answers 5xx for 7.4 % of requests"}


@pytest.mark.parametrize("service", ["incidents", "oncall", "notifications"])
async def test_alerts_are_taken_while_a_neighbour_is_away_and_paged_when_it_is_back(
    system: System, world: World, db_dsn: str, service: str
) -> None:
    await system[service].kill()
    accepted = await system.post("alerts", "/api/v1/alerts", ALERT)
    pending = service == "incidents"
    assert (accepted["status"], accepted["incident_id"] is None) == ("accepted" if pending else "correlated", pending)
    assert world.received == []
    await system[service].start()
    page = (await eventually(lambda: world.received))[0]
    await system.patch("incidents", f"/api/v1/incidents/{page.incident_id}", {"status": "acknowledged"})
    ids = [UUID(accepted["alert_id"])]
    await healed(db_dsn, accepted=ids, service="checkout")


async def test_with_the_database_away_alerts_are_refused_for_now_and_taken_when_it_is_back(
    system: System, world: World, db_dsn: str, postgres: Server
) -> None:
    drill = Drill(system, world, db_dsn, name="away")
    first = await drill.opened("before")
    away(db_dsn, postgres)
    async with system.session.post(system["alerts"].url + "/api/v1/alerts", json=ALERT) as response:
        assert response.status == 503
        assert response.headers["Retry-After"]
        assert response.content_type == "application/problem+json"
    async with system.session.get(system["alerts"].url + "/health") as response:
        assert response.status == 200
    async with system.session.get(system["alerts"].url + "/health/ready") as response:
        assert response.status == 503
        assert "database" in (await response.json())["dependencies"]

    sender = asyncio.get_running_loop().create_task(drill.play())  # asks again until it is answered
    back(db_dsn, postgres)
    await sender
    await drill.change(first, "acknowledged")
    assert all(replica.running for replica in system.everyone)
    await healed(db_dsn, accepted=drill.accepted, service="away-%")


async def test_the_services_start_before_the_database_and_wait_for_it(
    system: System, world: World, db_dsn: str, postgres: Server
) -> None:
    away(db_dsn, postgres)
    await system["oncall"].stop()
    await system["oncall"].start(until_ready=False)
    back(db_dsn, postgres)
    await system["oncall"].ready()
    incident = (await system.post("alerts", "/api/v1/alerts", ALERT))["incident_id"]
    await world.first_page(incident)


@pytest.mark.parametrize("service", ["incidents", "oncall", "notifications"])
async def test_a_replica_paused_past_its_lease_is_replaced_and_changes_nothing_when_it_goes_on(
    db_dsn: str, tmp_path_factory: pytest.TempPathFactory, world: World, service: str
) -> None:
    folder = tmp_path_factory.mktemp("paused")
    async with running_system(db_dsn, folder, world.environment, replicas={service: 2}) as system:
        await system.post("oncall", "/api/v1/schedules", world.team)
        drill = Drill(system, world, db_dsn, name="paused")
        paused = system.replicas[service][1]
        night = asyncio.get_running_loop().create_task(drill.play())
        await eventually(lambda: drill.accepted)
        paused.send(signal.SIGSTOP)
        await night
        paused.send(signal.SIGCONT)
        await paused.ready()
        await healed(db_dsn, accepted=drill.accepted, service="paused-%")
        assert drill.late_pages(grace=3.0) == []


async def test_two_replicas_of_every_service_page_each_person_once_for_a_storm_of_one_alert(
    db_dsn: str, tmp_path_factory: pytest.TempPathFactory, world: World
) -> None:
    folder = tmp_path_factory.mktemp("twins")
    twice = dict.fromkeys(("alerts", "incidents", "oncall", "notifications"), 2)
    environment = {**world.environment, "ESCALATION_TIMEOUT_MINUTES": "5"}
    async with running_system(db_dsn, folder, environment, replicas=twice) as system:
        await system.post("oncall", "/api/v1/schedules", world.team)
        urls = [replica.url + "/api/v1/alerts" for replica in system.replicas["alerts"]]

        async def send(number: int) -> str:
            async with system.session.post(urls[number % 2], json=ALERT) as response:
                assert response.status in {201, 202}
                return str((await response.json())["alert_id"])

        ids = [UUID(found) for found in await asyncio.gather(*(send(number) for number in range(100)))]
        await healed(db_dsn, accepted=ids, service="checkout")
        assert run(db_dsn, "SELECT count(DISTINCT incident_id) AS n FROM alerts.correlation")[0]["n"] == 1
        await eventually(lambda: world.received)
        sent = run(db_dsn, "SELECT count(*) AS n FROM notifications.notification")[0]["n"]
        assert (sent, len(world.received)) == (1, 1)


async def test_each_service_ends_within_five_seconds_of_being_asked_to(system: System) -> None:
    async with tasks.timeout(5):
        codes = await asyncio.gather(*(replica.stop() for replica in system.everyone))
    assert codes == [0] * 5


def away(dsn: str, postgres: Server) -> None:
    """Take the database away: no new connections, and the present ones broken."""
    name = parse_dsn(dsn)["dbname"]
    run(postgres.dsn("postgres"), f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    end_all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %(name)s"
    run(postgres.dsn("postgres"), end_all, {"name": name})


def back(dsn: str, postgres: Server) -> None:
    """Give the database back."""
    run(postgres.dsn("postgres"), f"ALTER DATABASE {parse_dsn(dsn)['dbname']} ALLOW_CONNECTIONS true")
