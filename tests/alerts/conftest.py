"""alert-ingestion on a database of its own, beside an incident management controlled by the test."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import pytest
from aiohttp import TCPConnector
from pytest_aiohttp.plugin import AiohttpClient

from tests.fakes.incidents import FakeIncidents
from tests.support.alerts.api import Service
from tests.support.loops import pytest_asyncio_loop_factories  # noqa: F401 - pytest looks for it here
from tests.support.waiting import PATIENT
from tocsin.alerts.app import create_app
from tocsin.alerts.settings import Settings

Start: TypeAlias = Callable[..., Awaitable[Service]]
QUICK = {
    **PATIENT,
    "lease_seconds": 2.0,
    "poll_seconds": 0.05,
    "retry_max_seconds": 0.2,
    "rejected_retry_seconds": 0.2,
    "breaker_seconds": 0.2,
    # A slow call is not a lost one.
    "commit_patience_seconds": 30.0,
    "correlate_timeout_seconds": 30.0,
    "forward_grace_seconds": 60.0,
}
QUICK_GRACE = {"forward_grace_seconds": 0.1}
"""Added to QUICK where alerts are to become overdue soon."""


@pytest.fixture
async def incidents() -> AsyncIterator[FakeIncidents]:
    async with FakeIncidents().serving() as peer:
        yield peer


@pytest.fixture
def start(db_dsn: str, incidents: FakeIncidents, aiohttp_client: AiohttpClient) -> Start:
    """Start one more replica of the service; keyword arguments are settings."""

    async def started(**settings: Any) -> Service:
        values = {"database_url": db_dsn, "incident_management_url": incidents.url, **QUICK, **settings}
        app = create_app(Settings.model_validate(values))
        return Service(await aiohttp_client(app, connector=TCPConnector(limit=0)), db_dsn)

    return started


@pytest.fixture
async def service(start: Start) -> Service:
    return await start()
