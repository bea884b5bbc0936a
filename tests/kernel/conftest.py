"""Fixtures of the kernel's tests: short time-outs, and databases that are closed at the end."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, TypeAlias

import pytest
from aiohttp import web
from aiohttp.pytest_plugin import AiohttpClient, AiohttpServer
from aiohttp.test_utils import TestClient
from prometheus_client import CollectorRegistry

from tests.support.kernel import bare_app as edge_routes
from tests.support.kernel.outbox_replica import Replica
from tests.support.kernel.quick_settings import quick_settings
from tests.support.kernel.running_server import Launch, launching
from tests.support.kernel.scripted_peer import Peer, open_client, status
from tests.support.loops import pytest_asyncio_loop_factories  # noqa: F401 - pytest looks for it here
from tests.support.postgres import run
from tocsin.kernel.app import base_app
from tocsin.kernel.db import Database
from tocsin.kernel.http_client import ServiceClient
from tocsin.kernel.settings import ProcessSettings

OpenDatabase = Callable[..., Database]
EdgeClient: TypeAlias = TestClient[web.Request, web.Application]
StartReplica = Callable[..., Awaitable[Replica]]
Rows = Callable[[], list[dict[str, Any]]]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the second event loop only in a complete run: the two rarely differ."""
    for item in items:
        if "[asyncio" in item.name:
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def things_dsn(empty_dsn: str) -> str:
    """A database with one table, `things.thing`."""
    run(empty_dsn, "CREATE SCHEMA things CREATE TABLE thing (id integer PRIMARY KEY, name text)")
    return empty_dsn


@pytest.fixture
async def open_database() -> AsyncIterator[OpenDatabase]:
    """Open pools that are closed at the end of the test."""
    async with AsyncExitStack() as stack:

        def open_one(dsn: str, *, schema: str = "things", **given: Any) -> Database:
            database = Database(quick_settings(dsn, **given).database_config(), schema=schema)
            stack.push_async_callback(database.close)
            return database

        yield open_one


@pytest.fixture
def things(things_dsn: str, open_database: OpenDatabase) -> Database:
    return open_database(things_dsn)


@pytest.fixture
def peer() -> Peer:
    return Peer([status(200)])


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def port(peer: Peer, aiohttp_server: AiohttpServer) -> int:
    app = web.Application(client_max_size=2**26)
    app.router.add_route("*", "/{path:.*}", peer.answer)
    return int((await aiohttp_server(app)).port or 0)


@pytest.fixture
async def client(port: int, registry: CollectorRegistry) -> AsyncIterator[ServiceClient]:
    async with open_client(port, registry) as one:
        yield one


@pytest.fixture
async def start(db_dsn: str) -> AsyncIterator[StartReplica]:
    """Start one more replica on the same database."""
    async with AsyncExitStack() as stack:

        async def start_one(**given: Any) -> Replica:
            return await stack.enter_async_context(Replica(db_dsn, **given).running())

        yield start_one


@pytest.fixture
async def launch() -> AsyncIterator[Launch]:
    async with launching() as start:
        yield start


@pytest.fixture
async def idle(db_dsn: str) -> AsyncIterator[Replica]:
    """A replica whose worker does not run: the test leases and delivers by hand."""
    one = Replica(db_dsn)
    yield one
    await one.db.close()


@pytest.fixture
def rows(db_dsn: str) -> Rows:
    return lambda: run(db_dsn, "SELECT * FROM oncall.outbox ORDER BY id")


@pytest.fixture
async def edge(aiohttp_client: AiohttpClient) -> EdgeClient:
    """A client of an application with only the kernel's routes and those of `bare_app.py`."""
    app = base_app(ProcessSettings.model_validate({}), service="edge")
    app.add_routes(edge_routes.ROUTES)
    return await aiohttp_client(app)
