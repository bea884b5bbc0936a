"""Contact addresses in closed mode: sought in every response and every page, for every kind of caller."""

import re
from collections.abc import Mapping
from typing import Any, Final

import pytest
import pytest_asyncio
from aiohttp import web

from tests.e2e.test_access_matrix import UNENDING, application
from tests.support.e2e.closed import Closed
from tests.support.e2e.system import World
from tests.support.e2e.teams import ALERT, EMAIL, MIA, OTHER, OTTO, OWN, SUE, Teams, create_teams
from tests.support.waiting import eventually
from tests.test_access import ID, SERVICES
from tocsin.contracts.contact_types import masked
from tocsin.kernel.routing import scope_of

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
CALLERS: Final = ("viewer", "responder", "owner", "manager", "admin", "service")
SEES: Final[Mapping[str, tuple[str, ...]]] = {
    "viewer": (),
    "responder": (),
    "owner": (OTTO,),
    "manager": (OTTO, MIA),
    "admin": (OTTO, MIA, SUE),
    "service": (OTTO, MIA, SUE),
}
"""Whose addresses each caller sees. A caller without a row fails the test."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def teams(closed: Closed, shared_world: World) -> Teams:
    return await create_teams(closed, shared_world.url)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def objects(closed: Closed, teams: Teams) -> dict[str, list[str]]:
    """The values of the parameters in paths: two incidents whose pages were delivered and failed, and their parts."""
    found: dict[str, list[str]] = {
        "schedule_id": [item["id"] for item in teams.schedules.values()],
        "person_id": [item["id"] for item in teams.people.values()],
        "team_id": list(teams.ids.values()),
        "name": ["trend"],
        "incident_id": [],
        "incident": [],
        "alert_id": [],
        "notification_id": [],
    }
    found["schedule"] = found["schedule_id"]
    for team in (OWN, OTHER):
        alert = await closed.call("POST", "alerts", "/api/v1/alerts", {**ALERT, "service": team.lower()}, by="sender")
        path = f"/api/v1/alerts/{alert['alert_id']}"

        async def incident_of(path: str = path) -> str:
            return str((await closed.call("GET", "alerts", path))["incident_id"] or "")

        incident = await eventually(incident_of, timeout=60)

        async def finished(incident: str = incident) -> list[Any]:
            listed = await closed.call("GET", "notifications", f"/api/v1/notifications?incident_id={incident}")
            ended = [item for item in listed["items"] if item["finished_at"]]
            return ended if len(ended) >= 2 else []

        found["notification_id"] += [item["id"] for item in await eventually(finished, timeout=60)]

        async def reported(incident: str = incident) -> bool:
            entries = (await closed.call("GET", "incidents", f"/api/v1/incidents/{incident}"))["timeline"]
            return sum("recipient" in entry["data"] for entry in entries) >= 2

        await eventually(reported, timeout=60)
        shown = await closed.call("GET", "incidents", f"/api/v1/incidents/{incident}")
        found["incident_id"].append(incident)
        found["incident"].append(str(shown["number"]))
        found["alert_id"].append(alert["alert_id"])
    found["ref"] = found["incident_id"]
    return found


def queries(path: str, objects: Mapping[str, list[str]]) -> list[str]:
    """Return the queries of a path that requires one, or shows more with one."""
    if path in {"/api/v1/oncall/current", "/api/v1/oncall/upcoming", "/oncall"}:
        return [f"?team={OWN}", f"?team={OTHER}"]
    if path in {"/api/v1/escalations", "/api/v1/oncall/board", "/api/v1/oncall/listing"}:
        return ["?" + "&".join(f"incident_id={incident}" for incident in objects["incident_id"])]
    return [""]


def paths(resource: web.AbstractResource, objects: Mapping[str, list[str]]) -> list[str]:
    """Return the paths of *resource* with each value of its parameter; each object of the system is in one of them."""
    canonical = re.sub(r"\{(\w+):(?:[^{}]|\{[^{}]*\})*\}", r"{\1}", resource.canonical)
    names = re.findall(r"\{(\w+)\}", canonical)
    rounds = max((len(objects.get(name, [ID])) for name in names), default=1)
    filled = []
    for number in range(rounds):
        path = canonical
        for name in names:
            values = objects.get(name, [ID])
            path = path.replace(f"{{{name}}}", values[number % len(values)])
        filled += [path + query for query in queries(path, objects)]
    return filled


async def bodies(closed: Closed, service: str, caller: str, objects: Mapping[str, list[str]]) -> dict[str, str]:
    """Return what *caller* gets from each address of *service* that is read, also through the gateway."""
    folder = closed.keys.folder.parent
    wanted = {
        path
        for route in application(service, folder).router.routes()
        if route.method == "GET" and route.resource is not None and scope_of(route) is not None
        for path in paths(route.resource, objects)
        if not path.startswith(UNENDING)
    }
    at = [(service, path) for path in sorted(wanted)]
    if caller != "service":
        at += [("web", path) for _, path in at if service != "web" and path.startswith("/api/")]
    found = {}
    for where, path in at:
        headers = closed.system.signature("oncall", where) if caller == "service" else closed.bearer(caller)
        async with closed.system.session.get(
            closed.url(where, path), headers=headers, allow_redirects=False
        ) as response:
            found[f"{where} {path} {response.status}"] = await response.text()
    return found


@pytest.mark.parametrize("caller", CALLERS)
async def test_no_response_and_no_page_has_an_address_that_the_caller_may_not_see(
    closed: Closed, teams: Teams, objects: dict[str, list[str]], caller: str
) -> None:
    hidden = teams.addresses(*(name for name in EMAIL if name not in SEES[caller]))
    leaks, seen, asked = [], set(), 0
    for service in SERVICES:
        for place, body in (await bodies(closed, service, caller, objects)).items():
            asked += 1
            assert not place.endswith(" 500"), place
            leaks += [(place, address) for address in hidden if address in body.lower()]
            seen |= {address for address in teams.addresses(*SEES[caller]) if address in body.lower()}
    assert leaks == []
    assert seen == teams.addresses(*SEES[caller])
    assert asked > 100


async def test_an_address_is_masked_so_that_it_can_be_recognised(closed: Closed, teams: Teams) -> None:
    path = f"/api/v1/schedules/{teams.schedules[OTHER]['id']}"
    (member,) = (await closed.call("GET", "web", path, by="manager"))["members"]
    assert member["email"] == "s…@halyard.example"
    assert [contact["address"] for contact in member["contacts"]] == [masked(teams.webhooks[SUE]), masked(EMAIL[SUE])]


async def test_a_masked_address_is_not_saved(closed: Closed, teams: Teams) -> None:
    path = f"/api/v1/schedules/{teams.schedules[OTHER]['id']}"
    shown = await closed.call("GET", "web", path, by="viewer")
    problem = await closed.call("PUT", "web", path, shown, by="admin", status=422)
    assert problem["errors"][0]["pointer"] == "#/members/0/email"
    assert "masked" in problem["errors"][0]["detail"]
    person = f"/api/v1/people/{teams.people[SUE]['id']}"
    await closed.call("PATCH", "oncall", person, {"email": masked(EMAIL[SUE])}, by="admin", status=422)
    assert (await closed.call("GET", "oncall", path))["members"] == teams.schedules[OTHER]["members"]


async def test_addresses_cannot_be_found_out_by_searching(closed: Closed) -> None:
    for by, found in (("viewer", []), ("manager", []), ("admin", [SUE])):
        people = await closed.call("GET", "oncall", "/api/v1/people?q=sue.planted", by=by)
        assert [person["name"] for person in people["items"]] == found
    by_address = f"/api/v1/notifications?recipient={EMAIL[SUE]}"
    await closed.call("GET", "notifications", by_address, by="responder", status=403)
    await closed.call("GET", "notifications", by_address, by="admin")


async def test_the_raw_request_of_an_alert_is_for_responders(closed: Closed, objects: dict[str, list[str]]) -> None:
    path = f"/api/v1/alerts/{objects['alert_id'][0]}"
    hidden = await closed.call("GET", "web", path, by="viewer")
    assert hidden["request"] is None
    assert "responders" in hidden["request_withheld"]
    assert "Only responders and admins see raw requests" in await closed.call(
        "GET", "web", f"/alerts/{objects['alert_id'][0]}", by="viewer"
    )
    shown = await closed.call("GET", "web", path, by="responder")
    assert ALERT["message"] in shown["request"]["body"]


async def test_no_sentence_that_is_copied_to_timelines_and_streams_has_an_address(
    closed: Closed, teams: Teams, objects: dict[str, list[str]]
) -> None:
    sentences = [
        entry["detail"]
        for incident in objects["incident_id"]
        for entry in (await closed.call("GET", "incidents", f"/api/v1/incidents/{incident}"))["timeline"]
    ]
    assert any(f"Otto Owner ({masked(EMAIL[OTTO])})" in sentence for sentence in sentences)
    assert [sentence for sentence in sentences for address in teams.addresses(*EMAIL) if address in sentence] == []


async def test_no_log_line_has_an_address(closed: Closed, teams: Teams, objects: dict[str, list[str]]) -> None:
    assert objects
    lines = [line for replica in closed.system.everyone for line in replica.log.splitlines()]
    assert len(lines) > 50
    assert [line for line in lines for address in teams.addresses(*EMAIL) if address in line] == []
