"""Two replicas of each service: one that is paused is replaced, and each person is paged once."""

import asyncio
import signal
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
import pytest_asyncio

from tests.e2e.conftest import Standing
from tests.support.e2e.fault_night import Drill
from tests.support.e2e.invariants import healed
from tests.support.e2e.system import open_world
from tests.support.postgres import Server, run
from tests.support.system import running_system
from tests.support.waiting import eventually

ALERT = {"service": "storm", "severity": "critical", "message": "answers 5xx for 7.4 % of requests"}
pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pairs(
    postgres: Server, template_db: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Standing]:
    """Two replicas of each service, where nothing escalates by itself."""
    name = postgres.create(template=template_db)
    twice = dict.fromkeys(("alerts", "incidents", "oncall", "notifications"), 2)
    async with open_world() as world:
        environment = {**world.environment, "ESCALATION_TIMEOUT_MINUTES": "5"}
        folder = tmp_path_factory.mktemp("pairs")
        async with running_system(postgres.dsn(name), folder, environment, replicas=twice) as system:
            await system.post("oncall", "/api/v1/schedules", world.team)
            yield Standing(system, world, postgres.dsn(name))
    postgres.drop(name)


@pytest.mark.parametrize("service", ["incidents", "oncall", "notifications"])
async def test_a_replica_paused_past_its_lease_is_replaced_and_changes_nothing_when_it_resumes(
    pairs: Standing, service: str
) -> None:
    system = pairs.system
    drill = Drill(system, pairs.world, pairs.dsn, name=f"paused-{service}")
    paused = system.replicas[service][1]
    night = asyncio.get_running_loop().create_task(drill.play())
    await eventually(lambda: drill.accepted)
    paused.send(signal.SIGSTOP)
    await night
    paused.send(signal.SIGCONT)
    await paused.ready()
    await healed(pairs.dsn, accepted=drill.accepted, service=f"paused-{service}-%")
    assert drill.late_pages() == []


async def test_two_replicas_of_every_service_page_each_person_once_for_a_storm_of_one_alert(pairs: Standing) -> None:
    system, world = pairs.system, pairs.world
    urls = [replica.url + "/api/v1/alerts" for replica in system.replicas["alerts"]]

    async def send(number: int) -> str:
        async with system.session.post(urls[number % 2], json=ALERT) as response:
            assert response.status in {201, 202}
            return str((await response.json())["alert_id"])

    ids = await asyncio.gather(*(send(number) for number in range(100)))
    await healed(pairs.dsn, accepted=map(UUID, ids), service="storm")
    correlated = "SELECT DISTINCT incident_id::text AS id FROM alerts.correlation WHERE alert_id = ANY(%(ids)s::uuid[])"
    ((incident,),) = (row.values() for row in run(pairs.dsn, correlated, {"ids": ids}))
    await eventually(lambda: world.pages_for(incident))
    queued = "SELECT count(*) AS n FROM notifications.notification WHERE incident_id = %(id)s"
    assert (run(pairs.dsn, queued, {"id": incident})[0]["n"], len(world.pages_for(incident))) == (1, 1)
