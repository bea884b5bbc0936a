"""People and teams over HTTP: members of schedules become people, and people get a role in a team."""

from typing import Any
from uuid import UUID

import pytest

from tests.oncall.conftest import OnCall, person
from tests.support.waiting import eventually
from tocsin.kernel.ids import new_id

PEOPLE, TEAMS = "/api/v1/people", "/api/v1/teams"


async def people(oncall: OnCall, **query: Any) -> dict[str, dict[str, Any]]:
    """Return the people by name."""
    return {item["name"]: item for item in (await oncall.get(PEOPLE, **query))["items"]}


async def request(oncall: OnCall, method: str, path: str, body: Any = None, *, status: int, **headers: str) -> Any:
    response = await oncall.client.request(
        method, path, json=body, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    found = await response.json()
    assert response.status == status, found
    return found


async def test_the_members_of_schedules_are_people_and_belong_to_the_team(oncall: OnCall) -> None:
    await oncall.team("Payments", person("Ada"), person("Bob", role="secondary"))
    await oncall.team("Search", {**person("Ada L."), "email": "ADA@example.net"}, person("Sue"))
    found = await people(oncall)
    assert set(found) == {"Ada", "Bob", "Sue"}
    assert [(team["team"], team["role"]) for team in found["Ada"]["teams"]] == [
        ("Payments", "member"),
        ("Search", "member"),
    ]
    assert set(await people(oncall, team="Search")) == {"Ada", "Sue"}
    assert set(await people(oncall, q="BOB@exa")) == {"Bob"}
    (search, payments) = (await oncall.get(TEAMS))["items"]
    assert [item["name"] for item in payments["people"]] == ["Ada", "Bob"]
    assert await oncall.get(f"{TEAMS}/{search['id']}") == search


async def test_the_console_that_fire_drills_page_is_no_person(oncall: OnCall) -> None:
    await oncall.team("tocsin-drill", person("Console"))
    assert await people(oncall) == {}


async def test_who_leaves_the_rotation_leaves_the_team_unless_they_manage_it(oncall: OnCall) -> None:
    schedule = await oncall.team("Payments", person("Ada"), person("Bob"), person("Cid"))
    found = await people(oncall)
    team_id = found["Ada"]["teams"][0]["team_id"]
    await request(oncall, "PUT", f"{TEAMS}/{team_id}/people/{found['Bob']['id']}", {"role": "manager"}, status=200)
    body = {"team": "Payments", "rotation_type": "weekly", "members": [person("Ada"), person("Dee")]}
    await oncall.put(schedule["id"], body)
    team = await oncall.get(f"{TEAMS}/{team_id}")
    assert [(item["name"], item["role"]) for item in team["people"]] == [
        ("Ada", "member"), ("Bob", "manager"), ("Dee", "member"),
    ]  # fmt: skip
    assert "Cid" in await people(oncall), "a person outlives their membership"


async def test_a_person_is_added_changed_and_deleted(oncall: OnCall) -> None:
    added = await oncall.post(PEOPLE, {"name": "Eve", "email": "eve@example.net"}, status=201, key="k")
    assert await oncall.post(PEOPLE, {"name": "Eve", "email": "eve@example.net"}, status=201, key="k") == added
    path = f"{PEOPLE}/{added['id']}"
    same = await request(oncall, "PATCH", path, {"name": "Eve"}, status=200)
    assert same == added, "an equal value changes nothing"
    changed = await request(oncall, "PATCH", path, {"email": "EVE@example.org"}, status=200, If_Match='"1"')
    assert (changed["email"], changed["version"], changed["name"]) == ("EVE@example.org", 2, "Eve")
    stale = await request(oncall, "PATCH", path, {"name": "Eva"}, status=412, If_Match='"1"')
    assert "read the person again" in stale["detail"]
    await request(oncall, "DELETE", path, status=200)
    await oncall.get(path, status=404)


async def test_an_e_mail_address_belongs_to_one_person(oncall: OnCall) -> None:
    first = await oncall.post(PEOPLE, {"name": "Eve", "email": "eve@example.net"}, status=201)
    other = await oncall.post(PEOPLE, {"name": "Fay", "email": "fay@example.net"}, status=201)
    conflict = await oncall.post(PEOPLE, {"name": "Eva", "email": "Eve@Example.net"}, status=409)
    assert first["id"] in conflict["detail"]
    await request(oncall, "PATCH", f"{PEOPLE}/{other['id']}", {"email": "EVE@example.net"}, status=409)


async def test_a_member_of_a_schedule_is_neither_deleted_nor_given_another_address(oncall: OnCall) -> None:
    await oncall.team("Payments", person("Ada"))
    ada = (await people(oncall))["Ada"]
    path, team_id = f"{PEOPLE}/{ada['id']}", ada["teams"][0]["team_id"]
    for method, where, body in (
        ("PATCH", path, {"email": "ada@example.org"}),
        ("DELETE", path, None),
        ("DELETE", f"{TEAMS}/{team_id}/people/{ada['id']}", None),
    ):
        conflict = await request(oncall, method, where, body, status=409)
        assert "the schedule of Payments" in conflict["detail"]
    renamed = await request(oncall, "PATCH", path, {"name": "Ada Lovelace"}, status=200)
    assert renamed["teams"] == ada["teams"]


async def test_a_person_joins_and_leaves_a_team(oncall: OnCall) -> None:
    await oncall.team("Payments", person("Ada"))
    eve = await oncall.post(PEOPLE, {"name": "Eve", "email": "eve@example.net"}, status=201)
    team_id = (await people(oncall))["Ada"]["teams"][0]["team_id"]
    path = f"{TEAMS}/{team_id}/people/{eve['id']}"
    joined = await request(oncall, "PUT", path, {}, status=200)
    assert [(item["name"], item["role"]) for item in joined["people"]] == [("Ada", "member"), ("Eve", "member")]
    left = await request(oncall, "DELETE", path, status=200)
    assert [item["name"] for item in left["people"]] == ["Ada"]
    assert "does not belong" in (await request(oncall, "DELETE", path, status=404))["detail"]


@pytest.mark.parametrize(
    "path", [f"{PEOPLE}/{{unknown}}", f"{TEAMS}/{{unknown}}", f"{TEAMS}/{{team}}/people/{{unknown}}"]
)
async def test_what_does_not_exist_is_a_404_that_names_the_list(oncall: OnCall, path: str) -> None:
    await oncall.team("Payments", person("Ada"))
    team = (await people(oncall))["Ada"]["teams"][0]["team_id"]
    method = "PUT" if "/people/" in path[len(TEAMS) :] and path.startswith(TEAMS) else "GET"
    body = {"role": "member"} if method == "PUT" else None
    problem = await request(oncall, method, path.format(unknown=new_id(), team=team), body, status=404)
    assert "lists the" in problem["detail"]


@pytest.mark.parametrize(
    "body",
    [{"name": "Eve"}, {"name": "", "email": "e@example.net"}, {"name": "Eve", "email": "none"}, []],
)
async def test_a_person_that_is_not_valid_is_refused(oncall: OnCall, body: Any) -> None:
    await request(oncall, "POST", PEOPLE, body, status=422)


async def test_the_schedules_of_a_release_that_knows_no_people_are_adopted(oncall: OnCall) -> None:
    await oncall.team("Payments", person("Ada"))
    oncall.rows("DELETE FROM oncall.person")
    oncall.rows(
        """
        UPDATE oncall.schedule
        SET members = members || '[{"name": "Old", "email": "old@example.net", "role": "primary", "contacts": []}]'
        """
    )

    async def adopted() -> bool:
        return set(await people(oncall)) == {"Ada", "Old"}

    await eventually(adopted)
    assert all(UUID(item["id"]) for item in (await people(oncall)).values())
