"""The gateway's description of the API: what it forwards of the four services, and no more."""

import importlib
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import pytest
import pytest_asyncio
from aiohttp import web
from openapi_pydantic import OpenAPI

from tests.fakes.peer import FakePeer
from tests.support.web.closed import closed_settings
from tests.web.conftest import Client, StartWeb
from tocsin.kernel import openapi
from tocsin.web import api_description

SERVICES: Final = {
    "alert_ingestion_url": "alerts",
    "incident_management_url": "incidents",
    "oncall_service_url": "oncall",
    "notification_service_url": "notifications",
}


def document_of(service: str) -> dict[str, Any]:
    """Return the OpenAPI document of a real service."""
    settings = importlib.import_module(f"tocsin.{service}.settings").Settings
    app = importlib.import_module(f"tocsin.{service}.app").create_app(
        settings.model_validate({"database_url": "host=/nowhere dbname=x"})
    )
    return openapi.document(app)


DOCUMENTS: Final = {service: document_of(service) for service in SERVICES.values()}


class DescribedService(FakePeer):
    """Responds with a service's document; to everything else with 200."""

    def __init__(self, service: str) -> None:
        super().__init__([web.get("/openapi.json", self._describe), web.route("*", "/{path:.*}", self._respond)])
        self.document: Any = DOCUMENTS[service]

    async def _describe(self, _request: web.Request) -> web.Response:
        return web.json_response(self.document)

    async def _respond(self, _request: web.Request) -> web.Response:
        return web.json_response({})

    @property
    def queries(self) -> int:
        """How often the document was requested."""
        return sum(request.path == "/openapi.json" for request in self.requests)


@pytest_asyncio.fixture(loop_scope="session")
async def described() -> AsyncIterator[dict[str, DescribedService]]:
    """The four services, with the documents of the real ones."""
    async with AsyncExitStack() as stack:
        yield {
            service: await stack.enter_async_context(DescribedService(service).serving())
            for service in SERVICES.values()
        }


@pytest_asyncio.fixture(loop_scope="session")
async def gateway(start_web: StartWeb, described: dict[str, DescribedService]) -> Client:
    return await start_web(**{setting: described[service].url for setting, service in SERVICES.items()})


async def read(client: Client) -> dict[str, Any]:
    async with client.get("/openapi.json") as response:
        assert response.status == 200
        found: dict[str, Any] = await response.json()
        return found


async def test_it_describes_every_public_operation_of_the_four_services(gateway: Client) -> None:
    public = {
        (path, method)
        for document in DOCUMENTS.values()
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if operation["tags"] == ["api"]
    }
    found = await read(gateway)
    described = {(path, method) for path, operations in found["paths"].items() for method in operations}
    assert described == public
    assert ("/api/v1/alerts", "post") in described
    assert len(described) > 20


async def test_each_operation_has_the_description_of_its_service(gateway: Client) -> None:
    found = await read(gateway)
    opened = DOCUMENTS["incidents"]["paths"]["/api/v1/incidents"]["post"]
    assert found["paths"]["/api/v1/incidents"]["post"] == opened | {"tags": ["incident-management"]}
    assert {"requestBody", "parameters", "responses"} <= opened.keys()
    parameters = found["paths"]["/api/v1/notifications"]["get"]["parameters"]
    assert {"channel", "status", "limit"} <= {parameter["name"] for parameter in parameters}
    assert found["info"]["title"] == "Tocsin"
    assert found["security"] == [{}, {"token": []}]
    assert [tag["name"] for tag in found["tags"]] == [
        "alert-ingestion",
        "incident-management",
        "oncall-service",
        "notification-service",
    ]


async def test_with_log_ins_it_describes_accounts_too_and_that_a_token_is_required(
    start_web: StartWeb, db_dsn: str, tmp_path: Path
) -> None:
    found = await read(await start_web(**closed_settings(tmp_path, db_dsn)))
    OpenAPI.model_validate(found)
    assert found["security"] == [{"token": []}]
    assert found["components"]["securitySchemes"] == {"token": {"type": "http", "scheme": "bearer"}}
    assert {"web-ui"} == {tag for path in found["paths"].values() for one in path.values() for tag in one["tags"]}
    assert "/api/v1/accounts" in found["paths"]
    assert "/api/v1/access/introspect" not in found["paths"]
    assert found["paths"]["/api/v1/login"]["post"]["security"] == []
    assert {"401", "403"} <= found["paths"]["/api/v1/accounts"]["get"]["responses"].keys()


async def test_it_is_valid_and_has_the_schemas_that_it_refers_to_and_no_others(gateway: Client) -> None:
    found = await read(gateway)
    OpenAPI.model_validate(found)
    schemas = found["components"]["schemas"]
    for schema in schemas.values():
        jsonschema_rs.meta.validate(schema)
    assert schemas.keys() == set(api_description.REFERENCE.findall(json.dumps(found)))
    assert "CorrelateAlerts" not in schemas


def test_the_services_give_one_schema_a_name() -> None:
    named: dict[str, Any] = {}
    for document in DOCUMENTS.values():
        for name, schema in document["components"]["schemas"].items():
            assert named.setdefault(name, schema) == schema, f"two models are called {name}: rename one"


async def test_the_gateway_forwards_every_operation_that_it_describes(gateway: Client) -> None:
    for path, operations in (await read(gateway))["paths"].items():
        for method in operations:
            async with gateway.request(method, path.replace("{", "").replace("}", "")) as response:
                assert response.status == 200, (method, path)


async def test_the_operations_of_an_unavailable_service_are_missing_with_a_note(
    gateway: Client, described: dict[str, DescribedService], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_description, "MAX_PARTIAL_AGE_SECONDS", 0.0)
    await described["oncall"].stop()
    found = await read(gateway)
    assert "oncall-service is unavailable" in found["info"]["description"]
    assert "/api/v1/schedules" not in found["paths"]
    assert "/api/v1/notify" in found["paths"]
    await described["oncall"].start()
    found = await read(gateway)
    assert "unavailable" not in found["info"]["description"]
    assert "/api/v1/schedules" in found["paths"]


@pytest.mark.parametrize("document", [[], {}, {"paths": {"/api/v1/notify": 1}, "components": {}}])
async def test_a_document_that_cannot_be_read_counts_as_an_unavailable_service(
    gateway: Client, described: dict[str, DescribedService], document: Any
) -> None:
    described["notifications"].document = document
    found = await read(gateway)
    assert "notification-service is unavailable" in found["info"]["description"]
    assert "/api/v1/notify" not in found["paths"]
    assert "/api/v1/alerts" in found["paths"]


async def test_a_silent_service_delays_the_document_no_longer_than_a_page(
    start_web: StartWeb, described: dict[str, DescribedService]
) -> None:
    described["alerts"].gate.clear()
    urls = {setting: described[service].url for setting, service in SERVICES.items()}
    found = await read(await start_web(**urls, part_seconds=0.2))
    assert "alert-ingestion is unavailable" in found["info"]["description"]


async def test_a_document_is_reused(gateway: Client, described: dict[str, DescribedService]) -> None:
    assert await read(gateway) == await read(gateway)
    assert [service.queries for service in described.values()] == [1, 1, 1, 1]


async def test_an_expired_document_is_built_anew(
    gateway: Client, described: dict[str, DescribedService], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_description, "MAX_AGE_SECONDS", 0.0)
    assert await read(gateway) == await read(gateway)
    assert [service.queries for service in described.values()] == [2, 2, 2, 2]


async def test_the_page_of_the_description_opens(gateway: Client) -> None:
    async with gateway.get("/docs") as response:
        assert response.status == 200
        assert "swagger-ui" in await response.text()
