"""The web service beside four fakes that speak real HTTP."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from playwright.async_api import Browser

from tests.fakes.upstream import FakeUpstream
from tests.support.browser import running_browser
from tests.web.night import Services
from tests.web.visiting import Visit
from tocsin.web.app import create_app
from tocsin.web.settings import Settings

URLS = ("alert_ingestion_url", "incident_management_url", "oncall_service_url", "notification_service_url")
Client: TypeAlias = TestClient[web.Request, web.Application]
StartWeb: TypeAlias = Callable[..., Awaitable[Client]]
IN_ONE_LOOP = pytest.mark.asyncio(loop_scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run this folder's tests in one event loop: the one in which the browser lives."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and pytest_asyncio.is_async_test(item):
            item.add_marker(IN_ONE_LOOP, append=False)


@pytest_asyncio.fixture(loop_scope="session")
async def services() -> AsyncIterator[Services]:
    """The four services: nothing has happened yet."""
    started = Services()
    async with AsyncExitStack() as stack:
        for peer in (started.alerts, started.incidents, started.schedules, started.messages):
            await stack.enter_async_context(peer.serving())
        yield started
        started.incidents.cut_streams()


@pytest_asyncio.fixture(loop_scope="session")
async def start_web(services: Services) -> AsyncIterator[StartWeb]:
    """Start the web service before them, with settings of its own."""
    started = AsyncExitStack()

    async def start(*, port: int | None = None, **given: Any) -> Client:
        chosen: dict[str, Any] = {
            "alert_ingestion_url": services.alerts.url,
            "incident_management_url": services.incidents.url,
            "oncall_service_url": services.schedules.url,
            "notification_service_url": services.messages.url,
            "part_seconds": 20.0,
        }
        settings = Settings.model_validate(chosen | given)
        server = TestServer(create_app(settings), host="127.0.0.1", port=port)
        client: Client = await started.enter_async_context(TestClient(server))
        return client

    async with started:
        yield start


@pytest_asyncio.fixture(loop_scope="session")
async def client(start_web: StartWeb) -> Client:
    return await start_web()


@pytest_asyncio.fixture(loop_scope="session")
async def upstream() -> AsyncIterator[FakeUpstream]:
    async with FakeUpstream().serving() as peer:
        yield peer
        peer.lines.put_nowait(b"")


@pytest_asyncio.fixture(loop_scope="session")
async def door(start_web: StartWeb, upstream: FakeUpstream) -> Client:
    """The gateway before one upstream that stands for all four."""
    return await start_web(**dict.fromkeys(URLS, upstream.url), gateway_silence_seconds=0.5, gateway_write_seconds=0.5)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """A real browser, started once: every test has contexts of its own in it."""
    async with running_browser() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: Browser, client: Client, services: Services) -> AsyncIterator[Visit]:
    """The browser before the web service. What it complains of, and the test does not expect, fails the test."""
    visiting = Visit(browser, str(client.make_url("/")))
    yield visiting
    await visiting.close()
    services.incidents.cut_streams()
    assert visiting.complaints == []
