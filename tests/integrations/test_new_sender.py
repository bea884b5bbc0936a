"""A new sender is one file and one line: everything else is made from the registry."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any
from unittest.mock import patch

import pytest
from aiohttp.test_utils import TestClient, TestServer

from tests.fakes.incidents import FakeIncidents
from tests.support import integrations_table
from tests.support.made_up_sender import INTEGRATION, PAYLOADS
from tests.support.waiting import PATIENT
from tests.support.web.server import Client, fake_services, web_before
from tocsin.alerts.app import create_app
from tocsin.alerts.settings import Settings
from tocsin.integrations import INTEGRATIONS, register

SMOKE, CLEAR = (payload.body for payload in PAYLOADS)


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    with patch.dict(INTEGRATIONS):
        register(INTEGRATION)
        yield


@pytest.fixture
async def ingestion(db_dsn: str) -> AsyncIterator[Client]:
    """alert-ingestion, which makes its routes from the registry."""
    async with AsyncExitStack() as stack:
        incidents = await stack.enter_async_context(FakeIncidents().serving())
        values = {**PATIENT, "database_url": db_dsn, "incident_management_url": incidents.url}
        app = create_app(Settings.model_validate({**values, "correlate_timeout_seconds": 30.0}))
        yield await stack.enter_async_context(TestClient(TestServer(app, host="127.0.0.1")))


@pytest.fixture
async def web(ingestion: Client) -> AsyncIterator[Client]:
    """The web service in front of it."""
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(fake_services())
        url = str(ingestion.make_url("")).rstrip("/")
        yield await stack.enter_async_context(web_before(services, alert_ingestion_url=url))


async def post(client: Client, body: bytes) -> tuple[int, Any]:
    async with client.post(INTEGRATION.path, data=body) as response:
        return response.status, await response.json()


async def test_its_requests_pass_the_gateway_and_get_responses_in_its_own_format(
    web: Client, ingestion: Client
) -> None:
    async with web.post(INTEGRATION.path, data=SMOKE) as response:
        assert (response.status, await response.json()) == (202, {"beep": 1})
        assert response.headers["X-Beeps"] == "1"
    assert await post(web, CLEAR) == (202, {"beep": 1})
    assert await post(web, b"{}") == (418, {"beep": 0})
    status, problem = await post(web, b"x" * 65)
    assert (status, problem["type"]) == (413, "urn:tocsin:problem:too-large")
    async with ingestion.get("/api/v1/alerts", params={"integration": "smoke-detector"}) as response:
        (stored,) = (await response.json())["items"]
    assert (stored["service"], stored["status"], stored["message"]) == ("building", "resolved", "Smoke: cellar")


async def test_its_requests_are_counted_from_zero(ingestion: Client) -> None:
    async def counted(outcome: str) -> float:
        sample = f'tocsin_alerts_requests_total{{integration="smoke-detector",outcome="{outcome}"}} '
        async with ingestion.get("/metrics") as response:
            lines = (await response.text()).splitlines()
        (line,) = [line for line in lines if line.startswith(sample)]
        return float(line.removeprefix(sample))

    assert await counted("accepted") == 0
    await post(ingestion, SMOKE)
    await post(ingestion, b"{}")
    assert (await counted("accepted"), await counted("refused")) == (1, 1)


async def test_the_api_describes_its_address(ingestion: Client) -> None:
    async with ingestion.get("/openapi.json") as response:
        operation = (await response.json())["paths"][INTEGRATION.path]["post"]
    assert operation["summary"] == INTEGRATION.summary
    assert operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/Reading")
    assert "202" in operation["responses"]


async def test_the_alerts_page_names_it_and_filters_by_it(web: Client) -> None:
    await post(web, SMOKE)
    async with web.get("/alerts", params={"integration": "smoke-detector"}) as response:
        page = await response.text()
    assert '<option value="smoke-detector" selected>Smoke detector</option>' in page
    assert "Smoke: cellar" in page
    async with web.get("/alerts", params={"integration": "generic"}) as response:
        assert "Smoke: cellar" not in await response.text()


def test_the_table_of_senders_lists_it() -> None:
    assert "| Smoke detector | `POST /api/v1/detectors/smoke` | `smoke-detector` |" in integrations_table.render()
    assert "Set `target` to `http://127.0.0.1:8080/api/v1/detectors/smoke`." in integrations_table.render()
