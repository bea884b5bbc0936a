"""Incident management on a database of its own, with a fake on-call service that speaks real HTTP."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from aiohttp.pytest_plugin import AiohttpClient, AiohttpServer
from psycopg2.extensions import connection

from tests.fakes.oncall import FakeOnCall
from tests.support.incidents.api import Api
from tests.support.loops import pytest_asyncio_loop_factories  # noqa: F401 - pytest looks for it here
from tests.support.postgres import run
from tests.support.waiting import PATIENT
from tocsin.incidents.app import create_app
from tocsin.incidents.settings import Settings

StartReplica = Callable[..., Awaitable[Api]]
Query = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def oncall() -> FakeOnCall:
    return FakeOnCall()


@pytest.fixture
async def start_replica(
    db_dsn: str, oncall: FakeOnCall, aiohttp_server: AiohttpServer, aiohttp_client: AiohttpClient
) -> StartReplica:
    """Start another replica on the same database, with its own settings."""
    upstream = await aiohttp_server(oncall.app())

    async def start(**given: Any) -> Api:
        chosen: dict[str, Any] = {
            "database_url": db_dsn,
            "oncall_service_url": str(upstream.make_url("/")),
            **PATIENT,
            "correlate_lock_seconds": 30.0,
            "poll_seconds": 0.1,
            "retry_min_seconds": 0.05,
            "retry_max_seconds": 0.1,
            "gauge_seconds": 0.1,
            "reconcile_seconds": 3600,
            "stream_poll_seconds": 0.1,
        }
        return Api(await aiohttp_client(create_app(Settings(**chosen | given))))

    return start


@pytest.fixture
async def api(start_replica: StartReplica) -> Api:
    return await start_replica()


@pytest.fixture
def query(db_dsn: str) -> Query:
    """Run one statement on the service's database."""

    def execute(sql: str, **params: Any) -> list[dict[str, Any]]:
        return run(db_dsn, sql, params)

    return execute


@pytest.fixture
def second_connection(db_dsn: str) -> Iterator[connection]:
    """Another connection, to hold locks and transactions open."""
    with closing(psycopg2.connect(db_dsn)) as other:
        yield other
