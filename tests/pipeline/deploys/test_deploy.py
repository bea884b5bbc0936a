"""Good releases: on an empty machine, replacing a running one under load, and the rollback."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import ClientError, ClientResponse, ClientTimeout

from tests.support.containers.load import under_load
from tests.support.containers.stack import beside
from tests.support.e2e.invariants import healed
from tests.support.e2e.system import World
from tests.support.pipeline.deployed_system import FIRST, DeployedSystem, layer
from tests.support.waiting import eventually
from tocsin.kernel.tasks import create_task

pytestmark = [pytest.mark.pipeline, pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]


@dataclass(slots=True)
class Page:
    """An open page: its stream of events, which is resumed after a disconnect."""

    events: list[str] = field(default_factory=list)
    incidents: set[str] = field(default_factory=set)
    failed: list[str] = field(default_factory=list)


@asynccontextmanager
async def open_page(system: DeployedSystem) -> AsyncIterator[Page]:
    page = Page()
    task = create_task(_follow(system, page), name="page")
    try:
        yield page
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _follow(system: DeployedSystem, page: Page) -> None:
    url = system.url("web") + "/api/v1/incidents/stream"
    while True:
        last = {"Last-Event-ID": page.events[-1]} if page.events else {}
        try:
            async with system.session.get(url, headers=last, timeout=ClientTimeout(total=None)) as response:
                if response.status != 200:
                    page.failed.append(f"{response.status} {await response.text()}")
                await _read(response, page)
        except ClientError:
            continue  # the replica stopped; a browser reconnects as well


async def _read(response: ClientResponse, page: Page) -> None:
    event: dict[str, str] = {}
    async for line in response.content:
        name, _, value = line.decode().rstrip().partition(": ")
        if name:
            event[name] = value
        elif event.get("event") != "ready" and "data" in event:  # `ready` has a position, not an event
            page.events.append(event["id"])
            page.incidents.add(str(json.loads(event["data"]).get("incident_id")))
        if not name:
            event = {}


async def test_the_first_release_is_running_and_reports_its_version(system: DeployedSystem) -> None:
    assert await system.versions() == {FIRST}
    report = json.loads((await beside(system.deploy, "status", "--json")).stdout)
    assert (report["good"], report["attempt"]) == (FIRST, None)
    assert {one["status"] for one in report["running"]} == {"healthy"}
    assert system.verified["failed"] == 0
    assert system.verified["paged_seconds"] < 15
    before = system.replicas()
    await beside(system.release, FIRST)
    assert system.replicas() == before, "a running release is not deployed again"


@pytest.mark.sample("deploys", 2)
async def test_no_request_fails_during_a_deploy_and_a_rollback(system: DeployedSystem, world: World) -> None:
    second = await beside(layer, "pipeline-second")
    edge = system.containers("edge")
    async with under_load(system, "second") as ledger, open_page(system) as page:
        await beside(system.release, second)
        assert await system.versions() == {second}
        sent = len(ledger.accepted)
        rolled_back = await beside(system.deploy, "rollback")
        assert rolled_back.returncode == 10, rolled_back.stderr
        assert await system.versions() == {FIRST}
        again = await beside(system.deploy, "rollback")
        assert (again.returncode, await system.versions()) == (10, {FIRST})
        await eventually(lambda: len(ledger.accepted) > sent + 100)
        (incident,) = ledger.incidents
        await eventually(lambda: incident in page.incidents)
    assert (ledger.failed, page.failed) == ([], []), system.edge_log()
    assert ledger.read > 100
    assert len(set(page.events)) == len(page.events)
    assert system.containers("edge") == edge, "an unchanged container is not restarted"

    dsn = system.dsn()
    await healed(dsn, accepted=ledger.accepted, service="second", seconds=60)
    await world.first_page(incident)
    await system.resolve(incident)
    deliveries = [received.delivery_id for received in world.pages_for(incident)]
    assert len(set(deliveries)) == len(deliveries)


@pytest.mark.sample("deploys", 2)
async def test_a_release_that_is_not_verified_is_rolled_back(system: DeployedSystem) -> None:
    hasty = await beside(layer, "pipeline-hasty")
    good = await system.versions()
    assert (await beside(system.deploy, "up", hasty)).returncode == 0
    assert await system.versions() == {hasty}
    assert (await beside(system.deploy, "verify", "pipeline-other")).returncode == 1
    assert (await beside(system.deploy, "settle")).returncode == 10
    assert await system.versions() == good
    assert (await beside(system.deploy, "settle")).returncode == 0
