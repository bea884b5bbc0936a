"""Every route of every service, asked by every kind of caller: who may do what is what the table says."""

import asyncio
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest
import pytest_asyncio
from aiohttp import web

from tests.support.e2e.closed import PASSWORD, Closed, browser
from tests.support.e2e.teams import EMAIL, MIA, OTHER, OTTO, OWN, SUE, Teams, create_teams
from tests.test_access import ID, SERVICES, filled
from tocsin.cli.services import SERVICES as UP_SERVICES
from tocsin.kernel.principal import Scope
from tocsin.kernel.routing import scope_of

Change: TypeAlias = tuple[str, str, Any]
"""A request: method, path and body."""
pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
MAY: Final[Mapping[Scope, set[str]]] = {
    Scope.PUBLIC: {"nobody", "sender", "viewer", "responder", "admin", "service"},
    Scope.FORWARD: {"sender", "viewer", "responder", "admin", "service"},
    Scope.SEND: {"sender", "responder", "admin", "service"},
    Scope.READ: {"viewer", "responder", "admin", "service"},
    Scope.RESPOND: {"responder", "admin", "service"},
    Scope.MANAGE: {"responder", "admin", "service"},
    Scope.METRICS: {"admin", "service"},
    Scope.ADMIN: {"admin", "service"},
    Scope.SERVICE: {"service"},
}
"""Who has each scope. A scope without a row fails the test."""
CALLERS: Final = ("nobody", "sender", "viewer", "responder", "admin", "service")
IDENTITY: Final = {each.name: each.identity for each in UP_SERVICES}
MANAGES: Final[Mapping[tuple[str, str], tuple[bool, bool]]] = {
    ("POST", "/api/v1/schedules"): (False, False),
    ("PUT", "/api/v1/schedules/{schedule_id}"): (True, False),
    ("POST", "/api/v1/people"): (True, True),
    ("PATCH", "/api/v1/people/{person_id}"): (True, False),
    ("DELETE", "/api/v1/people/{person_id}"): (True, False),
    ("PUT", "/api/v1/teams/{team_id}/people/{person_id}"): (True, False),
    ("DELETE", "/api/v1/teams/{team_id}/people/{person_id}"): (True, False),
    ("POST", "/oncall/{schedule}"): (True, False),
}
"""Whether a manager may make each change of a team of their own, and of another one. A route without a row fails."""
OWN_PERSON: Final = (("PATCH", "/api/v1/people/{person_id}"), OWN)
"""What people may change without being a manager: their own name."""
UNENDING: Final = "/api/v1/incidents/stream"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def teams(closed: Closed) -> Teams:
    return await create_teams(closed, "https://receiver.example")


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


def changes(teams: Teams, team: str, number: int) -> dict[tuple[str, str], Change]:
    """Return a valid change by each route that managers use, of *team* and its member, which changes nothing."""
    schedule, name = teams.schedules[team], OTTO if team == OWN else SUE
    paths = {"schedule_id": schedule["id"], "schedule": schedule["id"], "team_id": teams.ids[team]}
    paths["person_id"] = teams.people[name]["id"]
    bodies: dict[tuple[str, str], Any] = {
        ("POST", "/api/v1/schedules"): schedule,
        ("PUT", "/api/v1/schedules/{schedule_id}"): schedule,
        ("POST", "/api/v1/people"): {"name": "New", "email": f"new-{number}@halyard.example"},
        ("PATCH", "/api/v1/people/{person_id}"): {"name": name, "email": EMAIL[name]},
        ("PUT", "/api/v1/teams/{team_id}/people/{person_id}"): {"role": "member"},
    }
    return {route: (route[0], route[1].format(**paths), bodies.get(route)) for route in MANAGES}


async def status_of_change(closed: Closed, service: str, change: Change, caller: str) -> int:
    method, path, body = change
    form = {"data": {"more": "yes"}} if service == "web" and not path.startswith("/api/") else {"json": body}
    headers = closed.bearer(caller)
    async with closed.system.session.request(method, closed.url(service, path), headers=headers, **form) as response:
        assert response.status != 422, await response.text()
        return response.status


async def test_a_manager_changes_what_the_table_says_of_their_own_team_and_of_another(
    closed: Closed, teams: Teams
) -> None:
    routes = {
        (route.method, route.resource.canonical): service
        for service in SERVICES
        for route in application(service, closed.keys.folder.parent).router.routes()
        if scope_of(route) is Scope.MANAGE and route.resource is not None
    }
    assert set(routes) == set(MANAGES)
    wrong, number = [], 0
    for route, service in routes.items():
        for team, may in zip((OWN, OTHER), MANAGES[route], strict=True):
            expected = {
                "manager": may,
                "owner": (route, team) == OWN_PERSON,
                "responder": False,
                "viewer": False,
                "admin": True,
            }
            for caller, allowed in expected.items():
                for where in {service, "web"}:
                    number += 1
                    status = await status_of_change(closed, where, changes(teams, team, number)[route], caller)
                    if (status != 403) is not allowed:
                        wrong.append((route, team, caller, where, status))
    assert wrong == []
    assert number > 140


@pytest.mark.parametrize("team", [OWN, OTHER])
async def test_only_who_may_change_a_schedule_sees_its_buttons_and_its_form(
    closed: Closed, teams: Teams, team: str
) -> None:
    edit = f"/oncall/{teams.schedules[team]['id']}"
    for caller in ("viewer", "responder", "owner", "manager", "admin"):
        may_edit = caller == "admin" or (caller == "manager" and team == OWN)
        page = await closed.call("GET", "web", "/oncall", by=caller)
        assert (f'href="{edit}"' in page) is may_edit, caller
        assert ('href="/oncall/new"' in page) is (caller == "admin"), caller
        await closed.call("GET", "web", edit, by=caller, status=200 if may_edit else 403)
        await closed.call("GET", "web", "/oncall/new", by=caller, status=200 if caller == "admin" else 403)


async def test_people_change_their_own_name_but_not_their_address(closed: Closed, teams: Teams) -> None:
    path = f"/api/v1/people/{teams.people[OTTO]['id']}"
    changed = await closed.call("PATCH", "web", path, {"name": "Otto O."}, by="owner")
    assert (changed["name"], changed["email"]) == ("Otto O.", EMAIL[OTTO])
    refused = await closed.call("PATCH", "web", path, {"email": "otto@elsewhere.example"}, by="owner", status=403)
    assert "managers of all their teams" in refused["detail"]
    await closed.call("PATCH", "web", path, {"name": OTTO}, by="owner")


async def test_a_token_without_the_scope_manages_nothing(closed: Closed, teams: Teams) -> None:
    async with browser() as session:
        await closed.post_form(session, "/login", email="manager@login.example", password=PASSWORD)
        given = {"name": "reader", "scopes": ["read", "respond"]}
        async with session.post(closed.url("web", "/api/v1/account/tokens"), json=given) as response:
            closed.tokens["reader"] = (await response.json())["token"]
    path = f"/api/v1/schedules/{teams.schedules[OWN]['id']}"
    shown = await closed.call("GET", "oncall", path, by="reader")
    assert (shown["may_manage"], EMAIL[OTTO] in str(shown), EMAIL[MIA] in str(shown)) == (False, False, True)
    await closed.call("PUT", "oncall", path, teams.schedules[OWN], by="reader", status=403)


@pytest.mark.parametrize("service", SERVICES)
async def test_every_route_has_a_row_in_the_table(closed: Closed, service: str) -> None:
    app = application(service, closed.keys.folder.parent)
    assert {scope_of(route) for route in app.router.routes()} <= set(MAY)
