"""The web service beside four fakes that speak real HTTP."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, TypeAlias

import pytest
from aiohttp import web
from aiohttp.pytest_plugin import AiohttpClient
from aiohttp.test_utils import TestClient

from tests.fakes.upstream import FakeUpstream
from tests.support.browser import running_browser
from tests.web.night import Services
from tests.web.visiting import Visit
from tocsin.web.app import create_app
from tocsin.web.settings import Settings

URLS = ("alert_ingestion_url", "incident_management_url", "oncall_service_url", "notification_service_url")
Client: TypeAlias = TestClient[web.Request, web.Application]
StartWeb: TypeAlias = Callable[..., Awaitable[Client]]


@pytest.fixture
async def services() -> AsyncIterator[Services]:
    """The four services: nothing has happened yet."""
    started = Services()
    async with AsyncExitStack() as stack:
        for peer in (started.alerts, started.incidents, started.schedules, started.messages):
            await stack.enter_async_context(peer.serving())
        yield started
        started.incidents.cut_streams()


@pytest.fixture
async def start_web(services: Services, aiohttp_client: AiohttpClient) -> StartWeb:
    """Start the web service before them, with settings of its own."""

    async def start(**given: Any) -> Client:
        chosen: dict[str, Any] = {
            "alert_ingestion_url": services.alerts.url,
            "incident_management_url": services.incidents.url,
            "oncall_service_url": services.schedules.url,
            "notification_service_url": services.messages.url,
            "part_seconds": 20.0,
        }
        settings = Settings.model_validate(chosen | given)
        client: Client = await aiohttp_client(create_app(settings), server_kwargs={"host": "127.0.0.1"})
        return client

    return start


@pytest.fixture
async def client(start_web: StartWeb) -> Client:
    return await start_web()


@pytest.fixture
async def upstream() -> AsyncIterator[FakeUpstream]:
    async with FakeUpstream().serving() as peer:
        yield peer
        peer.lines.put_nowait(b"")


@pytest.fixture
async def door(start_web: StartWeb, upstream: FakeUpstream) -> Client:
    """The gateway before one upstream that stands for all four."""
    return await start_web(**dict.fromkeys(URLS, upstream.url), gateway_silence_seconds=0.5, gateway_write_seconds=0.5)


@pytest.fixture
async def visit(client: Client, services: Services) -> AsyncIterator[Visit]:
    """A real browser before the web service."""
    async with running_browser() as browser:
        yield Visit(browser, str(client.make_url("/")))
    services.incidents.cut_streams()
