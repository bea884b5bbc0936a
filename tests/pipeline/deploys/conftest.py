"""One system for all tests of this folder: deployed onto an empty machine, with people whom it pages."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import ClientSession, ClientTimeout

from tests.support.containers.stack import beside
from tests.support.e2e.system import World, open_world
from tests.support.pipeline.deployed_system import FIRST, DeployedSystem, build
from tests.support.system import QUICK
from tocsin.kernel.ids import new_id

CALM = {"LEASE_SECONDS": "5"}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world() -> AsyncIterator[World]:
    """People who can be paged, and the pages that they received."""
    async with open_world() as people:
        yield people


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def system(world: World, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DeployedSystem]:
    """The system with its first release, verified; everything is removed at the end."""
    await beside(build)
    state = tmp_path_factory.mktemp("state")
    system = DeployedSystem(f"tocsin-pipeline-{new_id().hex[-8:]}", state, {**QUICK, **CALM, **world.environment})
    try:
        await beside(system.release, FIRST)
        async with ClientSession(timeout=ClientTimeout(total=15)) as system.session:
            await system.post("oncall", "/api/v1/schedules", world.team)
            yield system
    finally:
        await beside(system.tear_down)
