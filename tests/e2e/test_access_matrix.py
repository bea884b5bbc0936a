"""Every route of every service, asked by every kind of caller: who may do what is what the table says."""

import asyncio
import importlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from aiohttp import web

from tests.support.e2e.closed import Closed, browser, closed_system, create_accounts, create_admin
from tests.support.postgres import Server
from tests.test_access import ID, SERVICES, filled
from tocsin.cli.services import SERVICES as UP_SERVICES
from tocsin.kernel.principal import Scope
from tocsin.kernel.routing import scope_of

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
MAY: Final[Mapping[Scope, set[str]]] = {
    Scope.PUBLIC: {"nobody", "sender", "viewer", "responder", "admin", "service"},
    Scope.FORWARD: {"sender", "viewer", "responder", "admin", "service"},
    Scope.SEND: {"sender", "responder", "admin", "service"},
    Scope.READ: {"viewer", "responder", "admin", "service"},
    Scope.RESPOND: {"responder", "admin", "service"},
    Scope.MANAGE: {"admin", "service"},
    Scope.METRICS: {"admin", "service"},
    Scope.ADMIN: {"admin", "service"},
    Scope.SERVICE: {"service"},
}
"""Who has each scope. A scope without a row fails the test."""
CALLERS: Final = ("nobody", "sender", "viewer", "responder", "admin", "service")
IDENTITY: Final = {each.name: each.identity for each in UP_SERVICES}
UNENDING: Final = "/api/v1/incidents/stream"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def closed(postgres: Server, template_db: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Closed]:
    name = postgres.create(template=template_db)
    folder = tmp_path_factory.mktemp("matrix")
    async with (
        closed_system(postgres.dsn(name), folder, {}) as started,
        browser() as session,
    ):
        await create_admin(started, session)
        await create_accounts(started, "sender", "viewer", "responder")
        yield started
    postgres.drop(name)


def application(service: str, folder: Path) -> web.Application:
    """Return the application in closed mode, for its routes."""
    settings = importlib.import_module(f"tocsin.{service}.settings").Settings
    keys = folder / "keys"
    given = {
        "access": "closed",
        "database_url": "host=/nowhere dbname=x",
        "service_key": (keys / f"{IDENTITY[service]}.json").read_text(),
        "service_keys": keys / "public",
    }
    app: web.Application = importlib.import_module(f"tocsin.{service}.app").create_app(settings.model_validate(given))
    return app


def path_of(resource: web.AbstractResource) -> str:
    """Return a path of *resource*; of the actions on an incident, one that exists."""
    path = filled(resource)
    return f"{path.removesuffix(ID)}acknowledge" if resource.canonical.endswith("{verb}") else path


async def status_of(closed: Closed, service: str, method: str, path: str, caller: str) -> int:
    headers: Mapping[str, str] = {}
    if caller == "service":
        headers = closed.system.signature("oncall", service)
    elif caller != "nobody":
        headers = closed.bearer(caller)
    session = closed.system.session
    async with session.request(method, closed.url(service, path), headers=headers, allow_redirects=False) as response:
        return response.status


@pytest.mark.parametrize("service", SERVICES)
async def test_every_route_admits_whom_the_table_admits_and_nobody_else(closed: Closed, service: str) -> None:
    wrong, asked = [], 0
    routes = application(service, closed.keys.folder.parent).router.routes()
    for route in routes:
        scope = scope_of(route)
        assert scope is not None, route
        if route.resource is None or (scope is Scope.FORWARD and route.method == "*"):
            continue  # the service behind the gateway decides; its own routes are asked below
        path = path_of(route.resource)
        for caller in CALLERS:
            if path == UNENDING and caller in MAY[scope]:
                continue
            status = await status_of(closed, service, route.method, path, caller)
            expected = caller in MAY[scope]
            denied = 401 if caller == "nobody" else 403
            asked += 1
            if (status in {401, 403}) is expected or (not expected and status != denied):
                wrong.append((route.method, path, scope, caller, status))
    assert wrong == []
    assert asked > 40


@pytest.mark.parametrize("caller", ["nobody", "sender", "viewer", "responder", "admin"])
async def test_the_gateway_asks_for_the_caller_and_the_service_behind_it_decides(closed: Closed, caller: str) -> None:
    for method, path, scope in (
        ("POST", "/api/v1/alerts", Scope.SEND),
        ("GET", "/api/v1/alerts", Scope.READ),
        ("GET", "/api/v1/incidents", Scope.READ),
        ("POST", "/api/v1/incidents", Scope.RESPOND),
        ("POST", "/api/v1/schedules", Scope.MANAGE),
        ("POST", "/api/v1/escalate", Scope.RESPOND),
        ("GET", "/api/v1/notifications", Scope.READ),
    ):
        status = await status_of(closed, "web", method, path, caller)
        assert (status not in {401, 403}) is (caller in MAY[scope]), (method, path, status)


async def test_no_caller_of_the_gateway_reaches_an_internal_endpoint(closed: Closed) -> None:
    found = await asyncio.gather(
        *(
            status_of(closed, "web", method, path, "admin")
            for method, path in (
                ("POST", "/api/v1/incidents/correlate"),
                ("GET", "/api/v1/incidents/board"),
                ("POST", "/api/v1/notifications/void"),
            )
        )
    )
    assert found == [404, 404, 404]


@pytest.mark.parametrize("service", SERVICES)
async def test_every_route_has_a_row_in_the_table(closed: Closed, service: str) -> None:
    app = application(service, closed.keys.folder.parent)
    assert {scope_of(route) for route in app.router.routes()} <= set(MAY)
