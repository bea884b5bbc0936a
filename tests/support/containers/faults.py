"""Faults of containers: each is injected, held for a while, and reverted, while a night is simulated."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from itertools import product
from typing import Final, TypeAlias

from tests.support.containers.footprint import measure, not_as_before
from tests.support.containers.stack import SERVICES, Stack, beside, docker, inspect, iptables
from tests.support.e2e.fault_night import Drill, unchecked_in
from tests.support.e2e.invariants import broken
from tests.support.e2e.system import World
from tests.support.waiting import eventually
from tocsin.kernel import clock

Fault: TypeAlias = Callable[[Stack], Awaitable[None]]
WITH_DATABASE: Final = [service for service in SERVICES.values() if service != "web-ui"]
ALL_SERVICES: Final = [*SERVICES.values(), "edge", "database"]
LATE_SECONDS: Final = 10.0
"""The longest delay of a page that is being delivered, or whose sender was disconnected."""
HEAL_SECONDS: Final = 30.0
READY_SECONDS: Final = 10.0
PATIENT_SECONDS: Final = 60.0
LITTLE_MEMORY: Final = ("--memory", "40m", "--memory-swap", "40m")
FEW_FILES: Final = 40
LIMIT_FILES: Final = """
import os, resource, sys
before = set()
for number in {int(name) for name in os.listdir("/proc") if name.isdigit()} - {os.getpid()}:
    few, most = resource.prlimit(number, resource.RLIMIT_NOFILE)
    resource.prlimit(number, resource.RLIMIT_NOFILE, (int(sys.argv[1]), most))
    before.add(few)
print(*before)
"""


def every_fault(seconds: float) -> dict[str, Fault]:
    """Return all faults by name; each lasts for *seconds*, except for those with a duration of their own.

    Only containers that communicate are disconnected: services reach each other through the edge, and the database.
    """
    found: dict[str, Fault] = {}
    for one, other in [*product(SERVICES.values(), ["edge"]), *product(WITH_DATABASE, ["database"])]:
        found[f"{one} and {other} are disconnected"] = partial(cut, [(one, other), (other, one)], seconds)
        found[f"{other} receives nothing from {one}"] = partial(cut, [(one, other)], seconds)
        found[f"{one} receives nothing from {other}"] = partial(cut, [(other, one)], seconds)
    for service in ALL_SERVICES:
        found[f"{service} is killed"] = partial(kill, service, 1.0)
        found[f"{service} is paused, longer than a lease"] = partial(pause, service, seconds)
    for service in WITH_DATABASE:
        found[f"{service} is out of memory"] = partial(starve, service, seconds)
        found[f"{service} is out of file descriptors"] = partial(close_files, service, seconds)
        found[f"{service} has an unresponsive name server"] = partial(silence_names, service, seconds)
    found["the database is down for a minute"] = partial(kill, "database", 60.0)
    return found


async def survive(stack: Stack, world: World, name: str, fault: Fault, *, alone: bool = False) -> dict[str, list[str]]:
    """Simulate a night with *fault*; return the invariants that do not hold afterwards.

    *alone* on its machine, every service must be ready ten seconds after the fault, and on time from then on.
    """
    drill = Drill(stack, world, stack.dsn(), name, patience=150.0)
    night = asyncio.get_running_loop().create_task(drill.play())
    await eventually(lambda: drill.accepted, timeout=30)
    before = await measure(stack)
    await fault(stack)
    await stack.ready(seconds=READY_SECONDS if alone else PATIENT_SECONDS)
    await night
    dsn = stack.dsn()

    async def not_healed() -> dict[str, list[str]]:
        return broken(dsn, accepted=drill.accepted, service=f"{name}-%") or await not_as_before(
            stack, before, alone=alone
        )

    deadline = clock.monotonic() + HEAL_SECONDS
    # Other tests' incidents are still being paged: the invariants must hold at one moment.
    while (found := await not_healed()) and clock.monotonic() < deadline:
        await clock.sleep(0.5)
    unchecked = unchecked_in("".join(docker("logs", sender) for sender in stack.containers(SERVICES["notifications"])))
    late = drill.late_pages(LATE_SECONDS, unchecked=unchecked)
    held = {"pages came late": late, "an id was given twice": drill.doubled_pages()}
    return {**found, **{promise: ids for promise, ids in held.items() if ids}}


async def cut(ways: list[tuple[str, str]], seconds: float, stack: Stack) -> None:
    """Drop all packets from one container to the other."""
    rules = [(_pid(stack, to), ("INPUT", "--source", stack.address(sender), "--jump", "DROP")) for sender, to in ways]
    async with _reverted(
        [(partial(iptables, pid, "--insert", *rule), partial(iptables, pid, "--delete", *rule)) for pid, rule in rules]
    ):
        await clock.sleep(seconds)


async def silence_names(service: str, seconds: float, stack: Stack) -> None:
    """Drop a container's requests to the name server, and restart the database."""
    pid = _pid(stack, service)
    rule = ("OUTPUT", "--protocol", "udp", "--destination", "127.0.0.11", "--jump", "DROP")
    async with _reverted([(partial(iptables, pid, "--insert", *rule), partial(iptables, pid, "--delete", *rule))]):
        await beside(docker, "restart", *stack.containers("database"))
        await clock.sleep(seconds)


async def kill(service: str, seconds: float, stack: Stack) -> None:
    """Kill a container and start it again."""
    (container,) = stack.containers(service)
    async with _reverted([(partial(docker, "kill", container), partial(docker, "start", container))]):
        await clock.sleep(seconds)


async def pause(service: str, seconds: float, stack: Stack) -> None:
    """Pause a container."""
    (container,) = stack.containers(service)
    async with _reverted([(partial(docker, "pause", container), partial(docker, "unpause", container))]):
        await clock.sleep(seconds)


async def starve(service: str, seconds: float, stack: Stack) -> None:
    """Limit a container's memory below its need, so that the kernel kills it repeatedly."""
    (container,) = stack.containers(service)
    (host,) = (found["HostConfig"] for found in inspect(container))
    before = ("--memory", str(host["Memory"]), "--memory-swap", str(host["MemorySwap"]))
    since = str(int(clock.now().timestamp()))

    def limit(*memory: str) -> None:
        # Some kernels refuse a limit below the current use.
        docker("stop", "--time", "0", container)
        docker("update", *memory, container)
        docker("start", container)

    async with _reverted([(partial(limit, *LITTLE_MEMORY), partial(limit, *before))]):
        await clock.sleep(seconds)
    window = ("--since", since, "--until", str(int(clock.now().timestamp()) + 1), "--filter", f"container={container}")
    assert "oom" in docker("events", *window, "--format", "{{.Action}}").split(), "nothing was killed"


async def close_files(service: str, seconds: float, stack: Stack) -> None:
    """Limit a service to the file descriptors that it has open."""

    def limit(files: int) -> int:
        # As its own user: root in a container may lack the capability for another user's process.
        return int(stack.execute(service, "python", "-c", LIMIT_FILES, str(files)))

    before = await beside(limit, FEW_FILES)
    try:
        await clock.sleep(seconds)
    finally:
        assert await beside(limit, before) == FEW_FILES


@asynccontextmanager
async def _reverted(steps: list[tuple[Callable[[], object], Callable[[], object]]]) -> AsyncIterator[None]:
    reverts: list[Callable[[], object]] = []
    try:
        for inject, revert in steps:
            await beside(inject)
            reverts.append(revert)
        yield
    finally:
        for revert in reverts:
            await beside(revert)


def _pid(stack: Stack, service: str) -> str:
    (container,) = stack.containers(service)
    return str(inspect(container)[0]["State"]["Pid"])
