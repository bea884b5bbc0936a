"""Health: alive whatever else fails; ready while every required dependency responds."""

import asyncio
import importlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from types import SimpleNamespace

import pytest
from aiohttp import web
from aiohttp.pytest_plugin import AiohttpClient

from tests.kernel.conftest import EdgeClient
from tests.support.kernel.quick_settings import quick_settings
from tests.support.kernel.scripted_peer import Peer, never
from tests.support.settings_page import settings_of
from tests.support.system import URL_OF
from tests.support.tcp_proxy import Proxy, proxied_database
from tests.support.waiting import AN_HOUR, eventually
from tocsin.kernel import clock, health
from tocsin.kernel.app import base_app, with_database
from tocsin.kernel.db import DB
from tocsin.kernel.errors import UpstreamError
from tocsin.kernel.http_client import ServiceClient

StartService = Callable[..., Awaitable[tuple[EdgeClient, Proxy]]]


@pytest.fixture
async def start_service(things_dsn: str, aiohttp_client: AiohttpClient) -> AsyncIterator[StartService]:
    """Start an application whose database a test can disconnect."""
    async with AsyncExitStack() as stack:

        async def start(**given: object) -> tuple[EdgeClient, Proxy]:
            proxy, dsn = await stack.enter_async_context(proxied_database(things_dsn))
            settings = quick_settings(dsn, **given)
            app = base_app(settings, service="things")
            with_database(app, settings, schema="things")
            return await aiohttp_client(app), proxy

        yield start


async def ready(client: EdgeClient) -> tuple[int, dict[str, str]]:
    async with client.get("/health/ready") as response:
        body = await response.json()
        assert body["service"] == "things"
        return response.status, {"": body["status"], **body["dependencies"]}


async def test_a_process_is_alive_without_its_database(start_service: StartService) -> None:
    client, proxy = await start_service()
    await proxy.stop()
    async with client.get("/health") as response:
        assert response.status == 200
        body = await response.json()
    assert (body["status"], body["service"]) == ("ok", "things")
    assert body["version"]


async def test_a_service_is_ready_while_its_database_responds(start_service: StartService) -> None:
    client, proxy = await start_service()
    assert await ready(client) == (200, {"": "ok", "database": "ok"})
    await proxy.stop()
    status, body = await ready(client)
    assert (status, body[""]) == (503, "unavailable")
    assert "database" in body["database"]
    await proxy.start()

    async def is_ready() -> bool:
        return (await ready(client))[0] == 200

    await eventually(is_ready)


async def test_a_silent_database_is_reported_in_bounded_time(
    start_service: StartService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "CHECK_SECONDS", 0.2)
    client, proxy = await start_service(db_statement_timeout_seconds=AN_HOUR, db_connect_timeout_seconds=AN_HOUR)
    proxy.drop()
    assert await ready(client) == (503, {"": "unavailable", "database": "no response in time"})


async def test_an_optional_dependency_is_reported_and_does_not_affect_readiness(start_service: StartService) -> None:
    client, _ = await start_service()

    async def fails(_app: web.Application) -> None:
        message = "oncall-service cannot be reached"
        raise UpstreamError(message)

    client.app[health.READINESS].optional["oncall-service"] = fails
    status, body = await ready(client)
    assert status == 200
    assert body["oncall-service"] == "oncall-service cannot be reached"


async def test_a_stopping_process_is_alive_but_not_ready(start_service: StartService) -> None:
    client, _ = await start_service()
    client.app[health.READINESS].stopping = True
    assert await ready(client) == (503, {"": "stopping", "database": "ok"})
    async with client.get("/health") as response:
        assert response.status == 200


async def test_a_busy_service_stays_ready_and_one_whose_statements_all_hang_does_not(
    start_service: StartService, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, proxy = await start_service(db_pool_size=2, db_statement_timeout_seconds=AN_HOUR)
    db = client.app[DB]
    assert (await ready(client))[0] == 200
    monkeypatch.setattr(health, "CHECK_SECONDS", AN_HOUR)
    async with db.connection():
        proxy.drop()
        assert (await ready(client))[0] == 200, "a statement ended within CHECK_SECONDS"
        monkeypatch.setattr(health, "CHECK_SECONDS", 0.3)
        monkeypatch.setattr(health, "clock", SimpleNamespace(monotonic=lambda: clock.monotonic() + 0.3))
        assert await ready(client) == (503, {"": "unavailable", "database": "no response in time"})


NEIGHBOURS = {
    "alerts": {"incident-management"},
    "incidents": {"oncall-service"},
    "oncall": {"incident-management", "notification-service"},
    "notifications": {"incident-management", "oncall-service"},
    "web": {"alert-ingestion", "incident-management", "oncall-service", "notification-service"},
}


@pytest.mark.parametrize("service", NEIGHBOURS)
async def test_each_service_is_ready_without_its_neighbours_and_names_them(
    db_dsn: str, aiohttp_client: AiohttpClient, service: str
) -> None:
    unreachable = dict.fromkeys((name.lower() for name in URL_OF.values()), "http://127.0.0.1:1")
    settings = settings_of(service).model_validate({"database_url": db_dsn, **unreachable})
    client = await aiohttp_client(importlib.import_module(f"tocsin.{service}.app").create_app(settings))
    async with client.get("/health/ready") as response:
        body = await response.json()
        assert response.status == 200
    assert body["dependencies"].keys() - {"database"} == NEIGHBOURS[service]
    assert all("cannot be reached" in body["dependencies"][name] for name in NEIGHBOURS[service])


async def test_a_neighbour_that_hangs_does_not_delay_readiness(
    start_service: StartService, peer: Peer, client: ServiceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "SERVICE_SECONDS", 0.1)
    peer.script = [never]
    asking, _ = await start_service()
    asking.app[health.READINESS].optional["peer"] = health.check_service(client)
    status, body = await ready(asking)
    assert (status, body["peer"]) == (200, "peer does not respond in time; try again in a moment.")


async def test_concurrent_probes_share_one_check(
    start_service: StartService, peer: Peer, client: ServiceClient
) -> None:
    all_have_asked = asyncio.Event()

    async def answer(_request: web.Request) -> web.StreamResponse:
        await all_have_asked.wait()
        return web.json_response({"status": "ok"})

    peer.script = [answer]
    asking, _ = await start_service()
    asking.app[health.READINESS].optional["peer"] = health.check_service(client)
    together = asyncio.gather(*(ready(asking) for _ in range(20)))
    await eventually(lambda: peer.at)
    all_have_asked.set()
    assert await together == [(200, {"": "ok", "database": "ok", "peer": "ok"})] * 20
    assert len(peer.at) < 20
    before = len(peer.at)
    await ready(asking)
    assert len(peer.at) == before + 1, "the next one asks anew"
