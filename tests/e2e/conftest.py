from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.world import World, open_world
from tests.support.system import System, running_system


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """People who can be paged, and what they received."""
    async with open_world() as people:
        yield people


@pytest.fixture
async def system(db_dsn: str, tmp_path: Path, world: World) -> AsyncIterator[System]:
    """Five processes, with a team whose pages go to `world`."""
    async with running_system(db_dsn, tmp_path, world.environment) as running:
        await running.post("oncall", "/api/v1/schedules", world.team)
        yield running
