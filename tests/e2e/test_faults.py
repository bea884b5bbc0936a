"""Every named fault point, failing in every way, in the middle of a night: nothing is lost, nothing is left undone."""

import asyncio
import importlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from tests.e2e.drill import Drill
from tests.e2e.invariants import broken
from tests.e2e.world import World, open_world
from tests.support.postgres import Server
from tests.support.system import Replica, System, running_system
from tests.support.waiting import eventually
from tocsin.kernel import clock
from tocsin.kernel.faults import POINTS, FaultKind

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

OUTBOX_OWNERS = ("incidents", "oncall", "notifications")
HEAL_SECONDS = 15.0
IN_FLIGHT_SECONDS = 3.0
"""What may still arrive after the answer: the one message being sent, and who slept before asking."""


def cases() -> Iterator[tuple[str, str, FaultKind]]:
    """Yield each service with each of its points and each kind: a point that is declared is tested."""
    for service in (*OUTBOX_OWNERS, "alerts"):
        importlib.import_module(f"tocsin.{service}.app")
    for point in sorted(POINTS):
        owner = point.partition(".")[0]
        for service in OUTBOX_OWNERS if owner == "outbox" else (owner,):
            for kind in FaultKind:
                yield service, point, kind


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def night(
    postgres: Server, template_db: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[System, World, str]]:
    """One system for all cases: each restarts the one service that is to fail."""
    folder = tmp_path_factory.mktemp("night")
    name = postgres.create(template=template_db)
    async with open_world() as world, running_system(postgres.dsn(name), folder, world.environment) as system:
        await system.post("oncall", "/api/v1/schedules", world.team)
        yield system, world, postgres.dsn(name)
    postgres.drop(name)


@pytest.mark.parametrize(("service", "point", "kind"), cases())
async def test_a_failure_at_any_step_loses_nothing_and_leaves_nothing_undone(
    night: tuple[System, World, str], service: str, point: str, kind: FaultKind
) -> None:
    system, world, dsn = night
    failing = system[service]
    drill = Drill(system, world, dsn, name=f"{service}-{point}-{kind}".replace(".", "-").replace("_", "-"))
    await failing.stop()
    already = failing.log.count('"fault injected"')
    async with started_again(failing):
        await failing.start(FAULT_POINT=f"{point}:{kind}", until_ready=False)
        await drill.play()
        await eventually(lambda: failing.log.count('"fault injected"') > already, timeout=10)

    await all_healed(dsn, drill)
    assert drill.late_pages(IN_FLIGHT_SECONDS) == []
    assert drill.doubled_pages() == []


@asynccontextmanager
async def started_again(replica: Replica) -> AsyncIterator[None]:
    """Start *replica* again, unharmed, whenever it ends: what a supervisor does."""
    stop = asyncio.Event()

    async def watch() -> None:
        while not stop.is_set():
            if replica.started and not replica.running:
                await replica.start()
            await clock.sleep(0.05)

    task = asyncio.get_running_loop().create_task(watch())
    try:
        yield
    finally:
        stop.set()
        await task


async def all_healed(dsn: str, drill: Drill) -> None:
    """Wait until every invariant holds; fail with those that do not."""

    def still_broken() -> dict[str, list[str]]:
        return broken(dsn, accepted=drill.accepted, service=f"{drill.name}-%")

    deadline = clock.monotonic() + HEAL_SECONDS
    while still_broken() and clock.monotonic() < deadline:
        await clock.sleep(0.1)
    assert still_broken() == {}
