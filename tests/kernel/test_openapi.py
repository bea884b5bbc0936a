"""The description of an API is valid, complete, and shown without anybody else's server."""

import json
import re
from http import HTTPStatus
from typing import Any

import jsonschema_rs
import pytest
from aiohttp import web
from openapi_pydantic import OpenAPI

from tests.kernel.conftest import EdgeClient
from tests.support.kernel.bare_app import Thing, post_thing
from tocsin.kernel.app import base_app
from tocsin.kernel.openapi import document, operation_of
from tocsin.kernel.settings import ProcessSettings


@pytest.fixture
async def spec(edge: EdgeClient) -> dict[str, Any]:
    async with edge.get("/openapi.json") as response:
        assert response.status == HTTPStatus.OK
        found: dict[str, Any] = await response.json()
        return found


async def test_it_is_a_valid_openapi_3_1(spec: dict[str, Any]) -> None:
    assert spec["openapi"] == "3.1.0"
    OpenAPI.model_validate(spec)
    for schema in spec["components"]["schemas"].values():
        jsonschema_rs.meta.validate(schema)


async def test_every_reference_is_defined(spec: dict[str, Any]) -> None:
    for name in re.findall(r'"\$ref": "([^"]+)"', json.dumps(spec)):
        assert name.startswith("#/components/schemas/")
        assert name.removeprefix("#/components/schemas/") in spec["components"]["schemas"]


async def test_exactly_the_described_routes_are_in_the_document(spec: dict[str, Any]) -> None:
    assert {path: set(item) for path, item in spec["paths"].items()} == {
        "/api/v1/things": {"get", "post"},
        "/api/v1/things/{thing_id}": {"get"},
    }


async def test_an_operation_describes_its_request_and_responses(spec: dict[str, Any]) -> None:
    operation = spec["paths"]["/api/v1/things"]["post"]
    assert operation["summary"] == "Make a thing."
    assert operation["description"] == "At length."
    assert operation["tags"] == ["api"]
    assert operation["requestBody"]["required"] is True
    assert set(operation["responses"]) == {"201", "400", "401", "403", "408", "409", "413", "415", "422", "503"}
    assert {parameter["name"]: parameter["in"] for parameter in operation["parameters"]} == {
        "Idempotency-Key": "header",
        "X-Actor": "header",
    }
    for status, response in operation["responses"].items():
        media_type = "application/json" if status == "201" else "application/problem+json"
        assert set(response["content"]) == {media_type}


async def test_a_query_is_described_parameter_by_parameter(spec: dict[str, Any]) -> None:
    parameters = {found["name"]: found for found in spec["paths"]["/api/v1/things"]["get"]["parameters"]}
    assert set(parameters) == {"limit", "cursor", "name", "tag"}
    assert parameters["limit"]["schema"]["maximum"] == 200
    assert not any(parameter["required"] for parameter in parameters.values())


async def test_a_path_parameter_is_required_and_an_internal_route_is_marked(spec: dict[str, Any]) -> None:
    operation = spec["paths"]["/api/v1/things/{thing_id}"]["get"]
    assert operation["tags"] == ["internal"]
    (parameter,) = operation["parameters"]
    assert (parameter["name"], parameter["in"], parameter["required"]) == ("thing_id", "path", True)


def test_two_applications_do_not_describe_each_others_routes() -> None:
    first, second = (base_app(ProcessSettings.model_validate({}), service=name) for name in ("one", "two"))
    first.add_routes([web.post("/api/v1/things", post_thing)])
    assert set(document(second)["paths"]) == set()
    assert set(document(first)["paths"]) == {"/api/v1/things"}
    operation = operation_of(post_thing)
    assert operation is not None
    assert operation.responses == {HTTPStatus.CREATED: Thing}


async def test_the_page_loads_nothing_from_other_hosts(edge: EdgeClient) -> None:
    async with edge.get("/docs") as response:
        assert response.status == HTTPStatus.OK
        assert response.content_type == "text/html"
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        page = await response.text()
    links = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(links) == 3
    for link in links:
        assert link.startswith("/docs/static/")
        async with edge.get(link) as response:
            assert response.status == HTTPStatus.OK
            assert await response.read()
    assert "<script>" not in page


async def test_only_the_pages_own_files_are_served(edge: EdgeClient) -> None:
    for path in (
        "/docs/static/",
        "/docs/static/../../app.py",
        "/docs/static/%2e%2e/%2e%2e/app.py",
        "/docs/static/nope",
        "/docs/static/" + "x" * 300,
        "/docs/static/a%00b",
    ):
        async with edge.get(path) as response:
            assert response.status in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}
