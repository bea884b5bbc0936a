"""What may happen to containers: each is done, held for a while, and undone, while a night is played."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from itertools import product
from typing import Final, TypeAlias

from tests.support.containers.footprint import measure, not_as_before
from tests.support.containers.stack import SERVICES, Stack, beside, docker, inspect, iptables
from tests.support.e2e.fault_night import Drill, unasked_in
from tests.support.e2e.invariants import broken
from tests.support.e2e.system import World
from tests.support.waiting import eventually
from tocsin.kernel import clock

Fault: TypeAlias = Callable[[Stack], Awaitable[None]]
WITH_DATABASE: Final = [service for service in SERVICES.values() if service != "web-ui"]
ALL_SERVICES: Final = [*SERVICES.values(), "edge", "database"]
LATE_SECONDS: Final = 10.0
"""A page on its way, and one whose asker was cut off from who knows."""
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
    """Return all faults by name; each lasts for *seconds*, but for those that need their own time.

    Cut off from each other are those who talk with each other: services go through the edge, and to the database.
    """
    found: dict[str, Fault] = {}
    for one, other in [*product(SERVICES.values(), ["edge"]), *product(WITH_DATABASE, ["database"])]:
        found[f"{one} and {other} hear nothing of each other"] = partial(cut, [(one, other), (other, one)], seconds)
        found[f"{other} hears nothing of {one}"] = partial(cut, [(one, other)], seconds)
        found[f"{one} hears nothing of {other}"] = partial(cut, [(other, one)], seconds)
    for service in ALL_SERVICES:
        found[f"{service} is killed"] = partial(kill, service, 1.0)
        found[f"{service} stands still, longer than a lease"] = partial(pause, service, seconds)
    for service in WITH_DATABASE:
        found[f"{service} has no memory"] = partial(starve, service, seconds)
        found[f"{service} may open nothing more"] = partial(close_files, service, seconds)
        found[f"{service} has a name server that is silent"] = partial(silence_names, service, seconds)
    found["the database is away for a minute"] = partial(kill, "database", 60.0)
    return found


async def survive(stack: Stack, world: World, name: str, fault: Fault, *, alone: bool = False) -> dict[str, list[str]]:
    """Play a night in which *fault* happens; return what does not hold once it is over.

    *alone* on its machine, everybody must be ready ten seconds after its end, and on time from then on.
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
    # Incidents of other tests go on being paged: it must hold once, at one moment.
    while (found := await not_healed()) and clock.monotonic() < deadline:
        await clock.sleep(0.5)
    unasked = unasked_in("".join(docker("logs", sender) for sender in stack.containers(SERVICES["notifications"])))
    late = drill.late_pages(LATE_SECONDS, unasked=unasked)
    held = {"pages came late": late, "an id was given twice": drill.doubled_pages()}
    return {**found, **{promise: ids for promise, ids in held.items() if ids}}


async def cut(ways: list[tuple[str, str]], seconds: float, stack: Stack) -> None:
    """Let nothing that one container sends reach the other."""
    rules = [(_pid(stack, to), ("INPUT", "--source", stack.address(sender), "--jump", "DROP")) for sender, to in ways]
    async with _undone(
        [(partial(iptables, pid, "--insert", *rule), partial(iptables, pid, "--delete", *rule)) for pid, rule in rules]
    ):
        await clock.sleep(seconds)


async def silence_names(service: str, seconds: float, stack: Stack) -> None:
    """Let the name server hear nothing of a container, and cut its connections to the database."""
    pid = _pid(stack, service)
    rule = ("OUTPUT", "--protocol", "udp", "--destination", "127.0.0.11", "--jump", "DROP")
    async with _undone([(partial(iptables, pid, "--insert", *rule), partial(iptables, pid, "--delete", *rule))]):
        await beside(docker, "restart", *stack.containers("database"))
        await clock.sleep(seconds)


async def kill(service: str, seconds: float, stack: Stack) -> None:
    """Kill a container and start it again."""
    (container,) = stack.containers(service)
    async with _undone([(partial(docker, "kill", container), partial(docker, "start", container))]):
        await clock.sleep(seconds)


async def pause(service: str, seconds: float, stack: Stack) -> None:
    """Stop every process of a container, and let them go on."""
    (container,) = stack.containers(service)
    async with _undone([(partial(docker, "pause", container), partial(docker, "unpause", container))]):
        await clock.sleep(seconds)


async def starve(service: str, seconds: float, stack: Stack) -> None:
    """Leave a container less memory than it needs, so that the kernel kills it, again and again."""
    (container,) = stack.containers(service)
    (host,) = (found["HostConfig"] for found in inspect(container))
    before = ("--memory", str(host["Memory"]), "--memory-swap", str(host["MemorySwap"]))
    since = str(int(clock.now().timestamp()))

    def limit(*memory: str) -> None:
        # One that runs may hold more than the new limit, which some kernels then refuse to set.
        docker("stop", "--time", "0", container)
        docker("update", *memory, container)
        docker("start", container)

    async with _undone([(partial(limit, *LITTLE_MEMORY), partial(limit, *before))]):
        await clock.sleep(seconds)
    told = ("--since", since, "--until", str(int(clock.now().timestamp()) + 1), "--filter", f"container={container}")
    assert "oom" in docker("events", *told, "--format", "{{.Action}}").split(), "nothing was killed"


async def close_files(service: str, seconds: float, stack: Stack) -> None:
    """Let a service open no more files and connections than it has."""

    def limit(files: int) -> int:
        # Its own user may: not everybody who is root here is so over another process.
        return int(stack.execute(service, "python", "-c", LIMIT_FILES, str(files)))

    before = await beside(limit, FEW_FILES)
    try:
        await clock.sleep(seconds)
    finally:
        assert await beside(limit, before) == FEW_FILES


@asynccontextmanager
async def _undone(steps: list[tuple[Callable[[], object], Callable[[], object]]]) -> AsyncIterator[None]:
    done: list[Callable[[], object]] = []
    try:
        for do, undo in steps:
            await beside(do)
            done.append(undo)
        yield
    finally:
        for undo in done:
            await beside(undo)


def _pid(stack: Stack, service: str) -> str:
    (container,) = stack.containers(service)
    return str(inspect(container)[0]["State"]["Pid"])
