"""Every service is started again in the middle of everything, as a deploy does: nothing is lost."""

import asyncio

from tests.support.containers.faults import survive
from tests.support.containers.stack import SERVICES, Stack, beside, docker
from tests.support.e2e.system import World


async def restart_all(stack: Stack) -> None:
    containers = [stack.containers(service)[0] for service in SERVICES.values()]
    await asyncio.gather(*(beside(docker, "restart", container) for container in containers))


async def test_all_services_restart_at_once_in_the_middle_and_nothing_is_lost(stack: Stack, world: World) -> None:
    assert await survive(stack, world, "restart", restart_all) == {}
