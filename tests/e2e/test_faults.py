"""Every named fault point, failing in every way, in the middle of a night: nothing is lost, nothing is left undone."""

import asyncio
import importlib
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import UUID

import pytest

from tests.e2e.conftest import Standing
from tests.support.e2e.fault_night import Drill, unasked_in
from tests.support.e2e.invariants import broken
from tests.support.system import Replica
from tocsin.kernel import clock
from tocsin.kernel.failpoints import POINTS, FailpointKind

pytestmark = pytest.mark.slow

SERVICES = ("alerts", "incidents", "oncall", "notifications")
OUTBOX_OWNERS = SERVICES[1:]
NIGHTS = 3
MOST_DRILLS = 4
HEAL_SECONDS = 30.0
IN_FLIGHT_SECONDS = 3.0
"""How long after the answer a page may still arrive that was asked about before: it is sent while its lease of a second
lasts; the rest is for the way, and these people's own loop.

A page that nobody could be asked about goes out all the same, by promise; it is known by its sender's log.
"""


def points_of(service: str) -> list[str]:
    """Return the fault points that *service* passes, its outbox's included."""
    prefixes = (f"{service}.", "outbox.") if service in OUTBOX_OWNERS else (f"{service}.",)
    return sorted(point for point in POINTS if point.startswith(prefixes))


def nights() -> list[tuple[FailpointKind, dict[str, list[str]]]]:
    """Return what fails in each night: in every service some of its points, until each has failed in every way."""
    for service in SERVICES:
        importlib.import_module(f"tocsin.{service}.app")
    points = {service: points_of(service) for service in SERVICES}
    armed = [{service: found[number::NIGHTS] for service, found in points.items()} for number in range(NIGHTS)]
    return [(kind, failing) for failing in armed for kind in FailpointKind]


def test_every_fault_point_belongs_to_a_service_and_fails_in_every_way() -> None:
    failing = {(point, kind) for kind, armed in nights() for points in armed.values() for point in points}
    assert failing == {(point, kind) for point in POINTS for kind in FailpointKind}
    for point in POINTS:
        assert any(point in points_of(service) for service in SERVICES), point


@pytest.mark.sample("fault nights", 2)
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("kind", "armed"),
    nights(),
    ids=[f"{kind}-{n // len(FailpointKind)}" for n, (kind, _) in enumerate(nights())],
)
async def test_a_failure_at_any_step_loses_nothing_and_leaves_nothing_undone(
    standing: Standing, kind: FailpointKind, armed: dict[str, list[str]], request: pytest.FixtureRequest
) -> None:
    system, world, dsn = standing.system, standing.world, standing.dsn
    name = request.node.callspec.id.replace("_", "-")
    drills = [Drill(system, world, dsn, f"{name}-{number}") for number in range(MOST_DRILLS)]
    await asyncio.gather(*(system[service].stop() for service in armed))
    seen = {service: len(failed_at(system[service])) for service in armed}

    def all_failed() -> bool:
        return all(set(failed_at(system[service])[seen[service] :]) == set(armed[service]) for service in armed)

    async with AsyncExitStack() as supervisors:
        for service, points in armed.items():
            await supervisors.enter_async_context(kept_running(system[service], kind, points))
        for drill in drills:
            await drill.play()
            if all_failed():
                break
    assert {service: sorted(failed_at(system[service])[seen[service] :]) for service in armed} == armed
    await all_healed(dsn, set().union(*(drill.accepted for drill in drills)), f"{name}-%")
    unasked = unasked_in(system["notifications"].log)
    for drill in drills:
        assert drill.late_pages(IN_FLIGHT_SECONDS, unasked=unasked) == []
        assert drill.doubled_pages() == []
        assert drill.unheard_pages() == []


def failed_at(replica: Replica) -> list[str]:
    """Return the points at which a replica has failed so far, in order, from its log."""
    return [json.loads(line)["point"] for line in replica.log.splitlines() if '"fault injected"' in line]


@asynccontextmanager
async def kept_running(replica: Replica, kind: FailpointKind, points: list[str]) -> AsyncIterator[None]:
    """Start *replica* to fail at *points*, and again whenever it ends, as a supervisor does.

    A killed process fails at the next point when it runs again; others fail at all of theirs in one life.
    """
    lives = [[point] for point in points] if kind is FailpointKind.KILL else [points]
    stop = asyncio.Event()

    async def supervise() -> None:
        while not stop.is_set():
            if not replica.running:
                armed = ",".join(f"{point}:{kind}" for point in (lives.pop(0) if lives else ()))
                await replica.start(FAILPOINT=armed, until_ready=False)
            await clock.sleep(0.05)

    task = asyncio.get_running_loop().create_task(supervise())
    try:
        yield
    finally:
        stop.set()
        await task
        await replica.ready()


async def all_healed(dsn: str, accepted: set[UUID], service: str) -> None:
    """Wait until every invariant holds; fail with those that do not."""

    def still_broken() -> dict[str, list[str]]:
        return broken(dsn, accepted=accepted, service=service)

    deadline = clock.monotonic() + HEAL_SECONDS
    while still_broken() and clock.monotonic() < deadline:
        await clock.sleep(0.1)
    assert still_broken() == {}
