"""notification-service on its own database, with fakes that speak real HTTP and SMTP."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any, TypeAlias

import pytest
from bench.receiver import own_address
from pytest_aiohttp.plugin import AiohttpClient, AiohttpServer

from tests.fakes.receiver import Receiver, open_receiver
from tests.support.loops import pytest_asyncio_loop_factories  # noqa: F401 - pytest looks for it here
from tests.support.notifications.api import Service
from tests.support.notifications.neighbours import Neighbours
from tests.support.waiting import PATIENT
from tocsin.kernel.failpoints import Failpoint, FailpointKind
from tocsin.notifications.app import create_app
from tocsin.notifications.settings import Settings

Start: TypeAlias = Callable[..., Awaitable[Service]]
Arm: TypeAlias = Callable[[Failpoint, FailpointKind], asyncio.Event]
# Polls and back-off in hundredths of a second; what only ends an attempt that hangs is generous, for a busy machine.
QUICK = {
    **PATIENT,
    "lease_seconds": 600.0,
    "poll_seconds": 0.05,
    "retry_min_seconds": 0.02,
    "retry_max_seconds": 0.1,
    "send_retry_max_seconds": 0.1,
    "send_timeout_seconds": 300.0,
    "incident_state_timeout_seconds": 30.0,
    "give_up_tries": 4,
}


@pytest.fixture
def neighbours() -> Neighbours:
    return Neighbours()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with open_receiver() as opened:
        yield opened


@pytest.fixture
async def start(
    db_dsn: str, neighbours: Neighbours, aiohttp_server: AiohttpServer, aiohttp_client: AiohttpClient
) -> Start:
    """Start one more replica of the service; keyword arguments are settings."""
    around = await aiohttp_server(neighbours.app())
    url = str(around.make_url("/"))

    async def started(**settings: Any) -> Service:
        given = {
            "database_url": db_dsn,
            "incident_management_url": url,
            "oncall_service_url": url,
            "webhook_allowed_networks": f"{own_address()}/32",
            **QUICK,
            **settings,
        }
        return Service(await aiohttp_client(create_app(Settings.model_validate(given))))

    return started


@pytest.fixture
async def service(start: Start) -> Service:
    return await start()


@pytest.fixture
async def arm(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Arm]:
    """Make a failpoint fail once; a failpoint that sleeps does so until the returned event is set."""
    points: list[Failpoint] = []

    def armed(point: Failpoint, kind: FailpointKind) -> asyncio.Event:
        points.append(point)
        awake = asyncio.Event()
        monkeypatch.setenv("FAILPOINT", f"{point.name}:{kind}")
        monkeypatch.setattr("tocsin.kernel.failpoints.clock", SimpleNamespace(sleep=lambda _seconds: awake.wait()))
        return awake

    yield armed
    monkeypatch.delenv("FAILPOINT", raising=False)
    for point in points:
        async with point():  # without the variable it is reset
            pass
