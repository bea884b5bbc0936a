"""The web service with four fakes that speak real HTTP."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.fakes.upstream import FakeUpstream
from tests.support.browser import running_browser
from tests.support.web.demo_night import Services
from tests.support.web.server import Client, fake_services, web_before
from tests.support.web.visits import Visit

__all__ = ["Client"]
URLS = ("alert_ingestion_url", "incident_management_url", "oncall_service_url", "notification_service_url")
StartWeb: TypeAlias = Callable[..., Awaitable[Client]]
IN_ONE_LOOP = pytest.mark.asyncio(loop_scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run this folder's tests in one event loop: the one in which the browser lives."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and pytest_asyncio.is_async_test(item):
            item.add_marker(IN_ONE_LOOP, append=False)


@pytest_asyncio.fixture(loop_scope="session")
async def services() -> AsyncIterator[Services]:
    """The four fake services, without any data."""
    async with fake_services() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="session")
async def start_web(services: Services) -> AsyncIterator[StartWeb]:
    """Start the web service on them, with the given settings."""
    async with AsyncExitStack() as stack:

        async def start(**given: Any) -> Client:
            return await stack.enter_async_context(web_before(services, **given))

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
    given = {"gateway_silence_seconds": 0.5, "gateway_write_seconds": 0.5, "allow_open_network": True}
    return await start_web(**dict.fromkeys(URLS, upstream.url), **given)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """A real browser, started once: every test has contexts of its own in it."""
    async with running_browser() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: Browser, client: Client, services: Services) -> AsyncIterator[Visit]:
    """The browser on the web service. A problem that the test does not expect fails it."""
    visiting = Visit(browser, str(client.make_url("/")))
    yield visiting
    await visiting.close()
    services.incidents.cut_streams()
    assert visiting.complaints == []
