"""Every named fault point, failing in every way, in the middle of a night: nothing is lost, nothing is left undone."""

import asyncio
import importlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

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

SERVICES = ("alerts", "incidents", "oncall", "notifications")
OUTBOX_OWNERS = SERVICES[1:]
INJECTED = '"fault injected"'
HEAL_SECONDS = 15.0
IN_FLIGHT_SECONDS = 3.0
"""What may still arrive after the answer: the one message being sent, and who slept before asking."""


def points_of(service: str) -> list[str]:
    """Return the fault points that *service* passes, its outbox's included."""
    prefixes = (f"{service}.", "outbox.") if service in OUTBOX_OWNERS else (f"{service}.",)
    return sorted(point for point in POINTS if point.startswith(prefixes))


def nights() -> list[tuple[FaultKind, dict[str, str]]]:
    """Return what fails in each night: in every service one of its points, until each has failed in every way."""
    for service in SERVICES:
        importlib.import_module(f"tocsin.{service}.app")
    points = {service: points_of(service) for service in SERVICES}
    rounds = max(len(found) for found in points.values())
    return [
        (kind, {service: found[number % len(found)] for service, found in points.items()})
        for number in range(rounds)
        for kind in FaultKind
    ]


def test_every_fault_point_belongs_to_a_service_and_fails_in_every_way() -> None:
    failing = {(point, kind) for kind, armed in nights() for point in armed.values()}
    assert failing == {(point, kind) for point in POINTS for kind in FaultKind}
    for point in POINTS:
        assert any(point in points_of(service) for service in SERVICES), point


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


@pytest.mark.parametrize(
    ("kind", "armed"), nights(), ids=lambda value: value if isinstance(value, str) else "+".join(value.values())
)
async def test_a_failure_at_any_step_loses_nothing_and_leaves_nothing_undone(
    night: tuple[System, World, str], kind: FaultKind, armed: dict[str, str]
) -> None:
    system, world, dsn = night
    drill = Drill(system, world, dsn, name=f"{kind}-{'-'.join(armed.values())}".replace(".", "-").replace("_", "-"))
    failing = {service: system[service] for service in armed}
    await asyncio.gather(*(replica.stop() for replica in failing.values()))
    seen = {service: replica.log.count(INJECTED) for service, replica in failing.items()}
    async with AsyncExitStack() as supervisors:
        for service, replica in failing.items():
            await replica.start(FAULT_POINT=f"{armed[service]}:{kind}", until_ready=False)
            await supervisors.enter_async_context(started_again(replica))
        await drill.play()
        for service, replica in failing.items():
            await eventually(lambda: replica.log.count(INJECTED) > seen[service], timeout=HEAL_SECONDS)  # noqa: B023
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
