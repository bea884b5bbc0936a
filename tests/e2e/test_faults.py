"""Every failpoint, failing in every way while the services work: nothing is lost and nothing is left undone."""

import asyncio
import importlib
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from tests.e2e.conftest import Standing
from tests.support.e2e.fault_night import Drill, unchecked_in
from tests.support.e2e.invariants import healed
from tests.support.system import Replica
from tests.support.waiting import eventually
from tocsin.kernel.failpoints import POINTS, FailpointKind

pytestmark = pytest.mark.slow

SERVICES = ("alerts", "incidents", "oncall", "notifications")
OUTBOX_OWNERS = SERVICES[1:]
ELSEWHERE = "access."
"""The prefix of those of accounts, where people retry: `tests/web/access/test_faults.py` tests them."""
NIGHTS = 3
MOST_DRILLS = 4


def points_of(service: str) -> list[str]:
    """Return the failpoints of *service*, including its outbox's."""
    prefixes = (f"{service}.", "outbox.") if service in OUTBOX_OWNERS else (f"{service}.",)
    return sorted(point for point in POINTS if point.startswith(prefixes))


def nights() -> list[tuple[FailpointKind, dict[str, list[str]]]]:
    """Return the failpoints of each night, by service; together the nights make each fail in every way."""
    for service in SERVICES:
        importlib.import_module(f"tocsin.{service}.app")
    points = {service: points_of(service) for service in SERVICES}
    armed = [{service: found[number::NIGHTS] for service, found in points.items()} for number in range(NIGHTS)]
    return [(kind, failing) for failing in armed for kind in FailpointKind]


def test_every_failpoint_belongs_to_a_service_and_fails_in_every_way() -> None:
    failing = {(point, kind) for kind, armed in nights() for points in armed.values() for point in points}
    points = {point for point in POINTS if not point.startswith(ELSEWHERE)}
    assert failing == {(point, kind) for point in points for kind in FailpointKind}
    for point in points:
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
    accepted = set().union(*(drill.accepted for drill in drills))
    await healed(dsn, accepted=accepted, service=f"{name}-%")
    unchecked = unchecked_in(system["notifications"].log)  # sent on purpose: incident management was down
    for drill in drills:
        assert drill.late_pages(unchecked=unchecked) == []
        assert drill.doubled_pages() == []
        assert drill.lost_pages() == []


def failed_at(replica: Replica) -> list[str]:
    """Return the points at which a replica has failed so far, in order, from its log."""
    return [json.loads(line)["point"] for line in replica.log.splitlines() if '"fault injected"' in line]


@asynccontextmanager
async def kept_running(replica: Replica, kind: FailpointKind, points: list[str]) -> AsyncIterator[None]:
    """Start *replica* to fail at *points*, and again whenever it exits, as a supervisor does.

    One that is killed fails at one point for each start, others at all points of one start.
    """
    starts = [[point] for point in points] if kind is FailpointKind.KILL else [points]
    stop = asyncio.Event()

    async def supervise() -> None:
        while not stop.is_set():
            armed = ",".join(f"{point}:{kind}" for point in (starts.pop(0) if starts else ()))
            await replica.start(FAILPOINT=armed, until_ready=False)
            await eventually(lambda: stop.is_set() or not replica.running, timeout=600)

    task = asyncio.get_running_loop().create_task(supervise())
    try:
        yield
    finally:
        stop.set()
        await task
        await replica.stop()  # it may be dying: a point is logged before it kills
        await replica.start()
