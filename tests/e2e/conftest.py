from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.e2e.closed import Closed, browser, closed_system, create_accounts, create_admin
from tests.support.e2e.system import World, open_world
from tests.support.postgres import Server
from tests.support.system import System, running_system


@dataclass(frozen=True, slots=True)
class Standing:
    """A system that the tests of one file share; each test uses service names of its own."""

    system: System
    world: World
    dsn: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing(
    postgres: Server, template_db: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Standing]:
    """Start five processes once for all tests of a file, which share one event loop."""
    folder = tmp_path_factory.mktemp("standing")
    name = postgres.create(template=template_db)
    async with open_world() as world, running_system(postgres.dsn(name), folder, world.environment) as system:
        await system.post("oncall", "/api/v1/schedules", world.team)
        yield Standing(system, world, postgres.dsn(name))
    postgres.drop(name)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_world() -> AsyncIterator[World]:
    """The `world` of `closed`."""
    async with open_world() as people:
        yield people


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def closed(
    postgres: Server, template_db: str, tmp_path_factory: pytest.TempPathFactory, shared_world: World
) -> AsyncIterator[Closed]:
    """Five processes in closed mode, with an account of each role, which all tests of a file share."""
    name = postgres.create(template=template_db)
    folder = tmp_path_factory.mktemp("closed")
    async with closed_system(postgres.dsn(name), folder, shared_world.environment) as started, browser() as session:
        await create_admin(started, session)
        await create_accounts(started, "sender", "viewer", "responder")
        yield started
    postgres.drop(name)


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
