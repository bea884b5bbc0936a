"""Schedules over HTTP: create, read, replace, and what is rejected."""

import asyncio
from typing import Any

from tests.oncall.conftest import OnCall, Replica, person
from tests.support.waiting import eventually
from tocsin.kernel.ids import new_id

PLAIN = {"team": "Payments", "rotation_type": "weekly", "members": [person("Ada")]}


async def test_a_created_schedule_can_be_read(oncall: OnCall) -> None:
    made = await oncall.team(
        "Payments",
        person("Ada", contacts=[{"channel": "webhook", "address": "https://hooks.example.net/ada"}]),
        person("Bob", role="secondary"),
        services=["payments-api", "ledger", "ledger"],
        time_zone="Europe/Berlin",
        handoff_time="09:00",
        handoff_weekday="thursday",
    )
    assert made["services"] == ["ledger", "payments-api"]
    assert (made["time_zone"], made["handoff_time"], made["handoff_weekday"]) == (
        "Europe/Berlin",
        "09:00",
        "thursday",
    )
    assert made["members"][0]["contacts"] == [{"channel": "webhook", "address": "https://hooks.example.net/ada"}]
    assert await oncall.get(f"/api/v1/schedules/{made['id']}") == made
    assert (await oncall.get("/api/v1/schedules"))["items"] == [made]


async def test_a_schedule_created_from_another_one_has_the_same_shifts(oncall: OnCall) -> None:
    made = await oncall.team(
        "Payments", person("Ada"), person("Bob"), person("Cai"), time_zone="Asia/Kathmandu", handoff_time="17:30"
    )
    again = await oncall.post("/api/v1/schedules", {**made, "team": "Copy"}, status=201)
    assert again["anchor"] == made["anchor"]
    shifts = [
        (await oncall.get("/api/v1/oncall/upcoming", team=team, days=90))["items"] for team in ("Payments", "Copy")
    ]
    assert [{**shift, "team": ""} for shift in shifts[0]] == [{**shift, "team": ""} for shift in shifts[1]]


async def test_the_location_header_is_the_address_of_the_schedule(oncall: OnCall) -> None:
    response = await oncall.client.post("/api/v1/schedules", json=PLAIN)
    found = await oncall.get(response.headers["Location"])
    assert found == await response.json()


async def test_schedules_are_listed_newest_first_page_by_page(oncall: OnCall) -> None:
    for number in range(5):
        await oncall.team(f"Team {number}")
    first = await oncall.get("/api/v1/schedules", limit=3)
    second = await oncall.get("/api/v1/schedules", limit=3, cursor=first["next_cursor"])
    assert [item["team"] for item in first["items"] + second["items"]] == [f"Team {n}" for n in (4, 3, 2, 1, 0)]
    assert second["next_cursor"] is None


async def test_a_team_has_one_schedule(oncall: OnCall) -> None:
    made = await oncall.team("Payments")
    problem = await oncall.post("/api/v1/schedules", PLAIN, status=409)
    assert problem["detail"] == (
        f"The team 'Payments' has a schedule already. Change it with PUT /api/v1/schedules/{made['id']}, "
        "or choose another name."
    )


async def test_a_service_belongs_to_one_team(oncall: OnCall) -> None:
    await oncall.team("Payments", services=["ledger", "payments-api"])
    body = {**PLAIN, "team": "Search", "services": ["search-api", "payments-api"]}
    problem = await oncall.post("/api/v1/schedules", body, status=409)
    assert problem["detail"] == (
        "The service 'payments-api' belongs to the team 'Payments'. Remove it from that team's schedule first."
    )
    assert [item["team"] for item in (await oncall.get("/api/v1/schedules"))["items"]] == ["Payments"]


async def test_of_concurrent_creations_of_a_team_one_succeeds(replica: Replica) -> None:
    replicas = [await replica(), await replica()]
    responses = await asyncio.gather(
        *(replicas[n % 2].client.post("/api/v1/schedules", json={**PLAIN, "services": ["a", "b"]}) for n in range(10))
    )
    assert sorted(response.status for response in responses) == [201] + [409] * 9


async def test_of_concurrent_creations_with_the_same_services_one_succeeds(replica: Replica) -> None:
    replicas = [await replica(), await replica()]
    bodies = [{**PLAIN, "team": f"Team {n}", "services": ["a", "b", "c"][:: 1 if n % 2 else -1]} for n in range(10)]
    responses = await asyncio.gather(
        *(replicas[n % 2].client.post("/api/v1/schedules", json=body) for n, body in enumerate(bodies))
    )
    assert sorted(response.status for response in responses) == [201] + [409] * 9


async def test_a_retry_with_the_same_key_gets_the_first_response(oncall: OnCall) -> None:
    key = str(new_id())
    first = await oncall.post("/api/v1/schedules", PLAIN, status=201, key=key)
    assert await oncall.post("/api/v1/schedules", PLAIN, status=201, key=key) == first
    problem = await oncall.post("/api/v1/schedules", {**PLAIN, "team": "Search"}, status=422, key=key)
    assert problem["errors"][0]["pointer"] == "Idempotency-Key"


async def test_the_key_of_a_failed_request_can_be_used_again(oncall: OnCall) -> None:
    await oncall.team("Payments")
    await oncall.post("/api/v1/schedules", PLAIN, status=409, key="k")
    await oncall.post("/api/v1/schedules", {**PLAIN, "team": "Search"}, status=201, key="k")


# (change to a valid schedule, pointer in the problem document)
INVALID: list[tuple[dict[str, Any], str]] = [
    ({"team": " "}, "#/team"),
    ({"team": "x" * 257}, "#/team"),
    ({"rotation_type": "monthly"}, "#/rotation_type"),
    ({"members": []}, "#/members"),
    ({"members": [{"name": "Ada"}]}, "#/members/0/email"),
    ({"members": [{**person("Ada"), "email": "ada"}]}, "#/members/0/email"),
    ({"members": [{**person("Ada"), "email": "ada@example.net\r\nBcc: eve@example.net"}]}, "#/members/0/email"),
    ({"members": [person("Ada", role="boss")]}, "#/members/0/role"),
    (
        {"members": [person("Ada", contacts=[{"channel": "pigeon", "address": "x"}])]},
        "#/members/0/contacts/0/channel",
    ),
    (
        {"members": [person("Ada", contacts=[{"channel": "webhook", "address": "ftp://x"}])]},
        "#/members/0/contacts/0",
    ),
    ({"members": [person("Ada", contacts=[{"channel": "email", "address": "x"}])]}, "#/members/0/contacts/0"),
    ({"members": [person("Ada"), person("Ada")]}, "#"),
    ({"time_zone": "Mars/Olympus"}, "#/time_zone"),
    ({"time_zone": "localtime"}, "#/time_zone"),
    ({"handoff_time": "25:00"}, "#/handoff_time"),
    ({"handoff_time": "09:00:01"}, "#/handoff_time"),
    ({"handoff_time": "09:00+02:00"}, "#/handoff_time"),
    ({"handoff_weekday": "caturday"}, "#/handoff_weekday"),
    ({"start": "2026-10-22", "handoff_weekday": "monday"}, "#"),
    ({"start": "0001-01-01"}, "#/start"),
    ({"start": "9999-12-31"}, "#/start"),
    ({"services": [""]}, "#/services/0"),
]


async def test_an_invalid_field_is_named_by_a_pointer(oncall: OnCall) -> None:
    for change, pointer in INVALID:
        problem = await oncall.post("/api/v1/schedules", {**PLAIN, **change}, status=422)
        assert [error["pointer"] for error in problem["errors"]] == [pointer], change
    assert (await oncall.get("/api/v1/schedules"))["items"] == []


async def test_a_contradiction_between_fields_is_explained(oncall: OnCall) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        (
            {"members": [person("Ada"), person("Ada")]},
            "2 members are named 'Ada': names must be unique",
        ),
        (
            {"start": "2026-10-22", "handoff_weekday": "monday"},
            "start is a thursday but handoff_weekday is monday: send only one of them",
        ),
    ]
    for change, detail in cases:
        problem = await oncall.post("/api/v1/schedules", {**PLAIN, **change}, status=422)
        assert problem["errors"] == [{"pointer": "#", "detail": detail}]


async def test_a_start_needs_no_weekday_and_must_not_contradict_one(oncall: OnCall) -> None:
    made = await oncall.team("Payments", start="2026-10-22")
    assert (made["start"], made["handoff_weekday"]) == ("2026-10-22", "thursday")
    same = await oncall.team("Search", start="2026-10-22", handoff_weekday="thursday")
    assert same["anchor"] == made["anchor"] == "2026-10-22T00:00:00"


async def test_a_body_that_is_not_json_is_a_400(oncall: OnCall) -> None:
    response = await oncall.client.post(
        "/api/v1/schedules", data=b"\xff{", headers={"Content-Type": "application/json"}
    )
    assert response.status == 400
    assert response.content_type == "application/problem+json"


async def test_names_are_stored_unchanged(oncall: OnCall) -> None:
    name = "Zählung 🚨 ' \" % \\ {}; DROP TABLE oncall.schedule"
    made = await oncall.team(name, person("Ada"))
    assert made["team"] == name
    assert (await oncall.get("/api/v1/oncall/current", team=name))["team"] == name


async def test_replacing_a_schedule_with_the_same_start_keeps_its_rotation(oncall: OnCall) -> None:
    made = await oncall.team("Payments", person("Ada"), person("Bob"), services=["ledger", "cards"])
    shifts = await oncall.get("/api/v1/oncall/upcoming", team="Payments", days=30)
    wanted = {**made, "members": [*made["members"], person("Cai", role="secondary")], "services": ["cards", "wallets"]}
    changed = await oncall.put(made["id"], wanted)
    assert changed == {**made, "members": changed["members"], "services": ["cards", "wallets"], "version": 2}
    assert [member["name"] for member in changed["members"]] == ["Ada", "Bob", "Cai"]
    assert await oncall.get(f"/api/v1/schedules/{made['id']}") == changed
    after = await oncall.get("/api/v1/oncall/upcoming", team="Payments", days=30)
    assert [shift["primary"] for shift in after["items"]] == [shift["primary"] for shift in shifts["items"]]
    assert {shift["secondary"]["name"] for shift in after["items"]} == {"Cai"}
    assert (await oncall.team("Ledgers", services=["ledger"]))["services"] == ["ledger"]


async def test_the_second_of_two_concurrent_changes_gets_a_412(oncall: OnCall) -> None:
    made = await oncall.team()
    first, second = ({**made, "members": [person(name)]} for name in ("Cai", "Dee"))
    changed = await oncall.put(made["id"], first, version=1)
    problem = await oncall.put(made["id"], second, version=1, status=412)
    assert problem["detail"] == (
        "The schedule of Payments has changed since version 1: it is at version 2. "
        "Nothing was saved; read it again and repeat the change."
    )
    # The same change again, because its first response was lost, is a no-op.
    assert await oncall.put(made["id"], first, version=1) == changed
    assert (await oncall.put(made["id"], second, version=2))["version"] == 3


async def test_a_rejected_change_changes_nothing(oncall: OnCall) -> None:
    await oncall.team("Search", services=["search-api"])
    made = await oncall.team("Payments", services=["cards"])
    taken = await oncall.put(made["id"], {**made, "services": ["wallets", "search-api"]}, status=409)
    assert "The service 'search-api' belongs to the team 'Search'." in taken["detail"]
    renamed = await oncall.put(made["id"], {**made, "team": "Cards"}, status=422)
    assert renamed["errors"] == [{"pointer": "#/team", "detail": "A team cannot be renamed: send 'Payments'."}]
    await oncall.put(made["id"], {**made, "members": []}, status=422)
    await oncall.put(str(new_id()), {**made}, status=404)
    assert await oncall.get(f"/api/v1/schedules/{made['id']}") == made


async def test_upcoming_shifts_can_start_at_another_instant(oncall: OnCall) -> None:
    await oncall.team("Payments", person("Ada"), person("Bob"), start="2026-01-05")
    shown = await oncall.get("/api/v1/oncall/upcoming", team="Payments", days=14, since="2026-03-02T00:00:00Z")
    assert [(shift["starts_at"], shift["primary"]["name"]) for shift in shown["items"]] == [
        ("2026-03-02T00:00:00Z", "Ada"),
        ("2026-03-09T00:00:00Z", "Bob"),
    ]


async def test_an_unknown_schedule_is_a_404(oncall: OnCall) -> None:
    unknown = new_id()
    problem = await oncall.get(f"/api/v1/schedules/{unknown}", status=404)
    assert problem["detail"] == f"There is no schedule {unknown}. GET /api/v1/schedules lists the schedules."
    await oncall.get("/api/v1/schedules/unknown", status=404)


async def test_a_new_schedule_updates_the_gauge_of_who_is_on_call_at_once(replica: Replica) -> None:
    oncall = await replica(gauge_seconds=600)
    await oncall.team("Payments", person("Ada"), person("Bob", role="secondary"))
    await oncall.team("Search", person("Cai", role="secondary"))

    async def shown() -> dict[str, float]:
        metrics = await oncall.metrics()
        return {name: value for name, value in metrics.items() if name.startswith("oncall_current")}

    ada, cai = 'oncall_current{person="Ada",team="Payments"}', 'oncall_current{person="Cai",team="Search"}'

    async def all_shown() -> bool:
        return await shown() == {ada: 1.0, cai: 1.0}

    await eventually(all_shown)
    assert (await oncall.metrics())['escalations_total{team="Payments"}'] == 0
