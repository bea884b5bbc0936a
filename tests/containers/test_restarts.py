"""Restarting every service at once, as a host's reboot does, loses nothing."""

import asyncio

import pytest

from tests.support.containers.faults import survive
from tests.support.containers.stack import SERVICES, Stack, beside, docker
from tests.support.e2e.system import World


async def restart_all(stack: Stack) -> None:
    containers = [stack.containers(service)[0] for service in SERVICES.values()]
    await asyncio.gather(*(beside(docker, "restart", container) for container in containers))


@pytest.mark.sample("container nights", 2)
async def test_restarting_all_services_at_once_loses_nothing(stack: Stack, world: World) -> None:
    assert await survive(stack, world, "restart", restart_all) == {}
