"""The web service with four fake services, for tests and pictures."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from tests.support.ports import free_port
from tests.support.web.demo_night import Services
from tocsin.web.app import create_app
from tocsin.web.settings import Settings

Client: TypeAlias = TestClient[web.Request, web.Application]
NAME: Final = "somebody via web"


@asynccontextmanager
async def fake_services() -> AsyncIterator[Services]:
    """Run the four fake services, without any data."""
    started = Services()
    async with AsyncExitStack() as stack:
        for peer in (started.alerts, started.incidents, started.schedules, started.messages):
            await stack.enter_async_context(peer.serving())
        yield started
        started.incidents.cut_streams()


@asynccontextmanager
async def web_before(services: Services, *, port: int | None = None, **given: Any) -> AsyncIterator[Client]:
    """Run the web service on *services*, with the given settings; the client has chosen the name NAME."""
    chosen: dict[str, Any] = {
        "alert_ingestion_url": services.alerts.url,
        "incident_management_url": services.incidents.url,
        "oncall_service_url": services.schedules.url,
        "notification_service_url": services.messages.url,
        "part_seconds": 20.0,
    }
    server = TestServer(create_app(Settings.model_validate(chosen | given)), host="127.0.0.1", port=port or free_port())
    # A default, which a test's own header and the cookies of responses replace.
    async with TestClient(server, headers={"Cookie": f"tocsin_actor={quote(NAME)}"}) as client:
        yield client
