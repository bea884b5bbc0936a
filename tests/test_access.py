"""Who reaches the five services: no page of another site, and no route without a scope."""

import importlib
from pathlib import Path
from typing import Final

import pytest
from aiohttp import web
from aiohttp.pytest_plugin import AiohttpClient
from structlog.testing import capture_logs

from tocsin.cli.service_keys import KeyFolder
from tocsin.cli.services import SERVICES as UP_SERVICES
from tocsin.cli.services import Service
from tocsin.kernel.key_pair import create_key_pair
from tocsin.kernel.openapi import operation_of
from tocsin.kernel.principal import Scope
from tocsin.kernel.routing import scope_of

SERVICES: Final = ("alerts", "incidents", "oncall", "notifications", "web")
ID: Final = "0199f6a2-7c31-7e0b-9d44-51c0a8be2f17"
REBOUND: Final = {"Host": "evil.example", "Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"}
"""What a browser sends for a page of another site whose name resolves to this machine."""


def create(service: str, **settings_given: object) -> web.Application:
    settings = importlib.import_module(f"tocsin.{service}.settings").Settings
    given = {"database_url": "host=/nowhere dbname=x", "poll_seconds": 60, **settings_given}
    app: web.Application = importlib.import_module(f"tocsin.{service}.app").create_app(settings.model_validate(given))
    return app


def filled(resource: web.AbstractResource) -> str:
    """Return a path of *resource* with an id for each parameter."""
    path, depth = "", 0
    for character in resource.canonical:
        depth += (character == "{") - (character == "}")
        path += ID if character == "{" and depth == 1 else "" if depth or character == "}" else character
    return path


@pytest.mark.parametrize("service", SERVICES)
async def test_a_page_of_another_site_reaches_nothing_by_dns_rebinding(
    service: str, aiohttp_client: AiohttpClient
) -> None:
    client = await aiohttp_client(create(service))
    routes = [(route.method, filled(route.resource)) for route in client.app.router.routes() if route.resource]
    assert len(routes) > 6
    for method, path in routes:
        for verb in ("GET", "POST", "PATCH") if method == "*" else (method,):
            async with client.request(verb, path, headers=REBOUND) as response:
                assert response.status == 421, (verb, path)


@pytest.mark.parametrize("service", UP_SERVICES, ids=lambda service: service.name)
@pytest.mark.parametrize("access", ["open", "closed"])
async def test_nobody_chooses_the_address_that_a_service_sees(
    service: Service, access: str, aiohttp_client: AiohttpClient, tmp_path: Path
) -> None:
    keys = KeyFolder(tmp_path)
    keys.create_missing()
    own = {"service_key": keys.private_key(service), "service_keys": keys.folder / "public"}
    proxies = {"trusted_proxies": "10.0.0.0/8"} if access == "closed" else {}
    edge = {"edge_key": 43 * "A" + "="} if access == "closed" else {}
    client = await aiohttp_client(create(service.name, access=access, **own, **proxies, **edge))
    with capture_logs() as events:
        for header in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Tocsin-Client-Address"):
            for value in ("10.0.0.7", "for=10.0.0.7", f"10.0.0.7 {64 * '0'}", 900 * "10.0.0.7,"):
                async with client.get("/nowhere", headers={header: value}) as response:
                    refused = access == "open" and "Forwarded" in header
                    assert response.status == (403 if refused else 404)
    assert [event["remote"] for event in events if event["event"] == "request"] == ["127.0.0.1"] * 16


@pytest.mark.parametrize("service", SERVICES)
def test_internal_endpoints_have_the_scope_of_services(service: str) -> None:
    for route in create(service).router.routes():
        operation = operation_of(route.handler)
        internal = operation is not None and operation.internal
        assert (scope_of(route) is Scope.SERVICE) == internal, route


@pytest.mark.parametrize("service", [name for name in SERVICES if name not in {"alerts", "web"}])
async def test_without_log_ins_only_services_reach_an_internal_endpoint(
    service: str, aiohttp_client: AiohttpClient, tmp_path: Path
) -> None:
    pair = create_key_pair()
    (tmp_path / f"{service}.json").write_text(pair.public)
    client = await aiohttp_client(create(service, service_key=pair.private, service_keys=tmp_path))
    asked = 0
    for route in client.app.router.routes():
        if route.resource is None or scope_of(route) is not Scope.SERVICE:
            continue
        for headers in ({}, {"X-Actor": "incident-management"}, {"Authorization": "Bearer tocsin_pat_x"}):
            asked += 1
            async with client.request(route.method, filled(route.resource), headers=headers) as response:
                assert response.status == 403, (route, response.status)
                if route.method != "HEAD":
                    assert "which sign their calls" in (await response.json())["detail"]
    assert asked > 5


@pytest.mark.parametrize("service", SERVICES)
async def test_a_wrong_method_is_refused_with_those_of_the_endpoint_and_no_others(
    service: str, aiohttp_client: AiohttpClient
) -> None:
    client = await aiohttp_client(create(service))
    methods: dict[str, set[str]] = {}
    for route in client.app.router.routes():
        if route.resource is not None and route.method != "*" and route.resource.canonical.startswith("/api/"):
            methods.setdefault(filled(route.resource), set()).add(route.method)
    for path, expected in methods.items():
        async with client.options(path) as response:
            assert response.status == 405, path
            assert set(response.headers["Allow"].split(",")) == expected, path


@pytest.mark.parametrize("service", SERVICES)
def test_no_change_is_public(service: str) -> None:
    for route in create(service).router.routes():
        if scope_of(route) in {Scope.PUBLIC, Scope.METRICS, Scope.READ} and service != "web":
            assert route.method in {"GET", "HEAD"}, route
