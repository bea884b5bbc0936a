"""Schedules over HTTP: making them, looking at them, and what is refused."""

import asyncio
from typing import Any

from tests.oncall.conftest import OnCall, Replica, person
from tests.support.waiting import eventually
from tocsin.kernel.ids import new_id

PLAIN = {"team": "Payments", "rotation_type": "weekly", "members": [person("Ada")]}


async def test_a_schedule_that_is_made_can_be_looked_at(oncall: OnCall) -> None:
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


async def test_what_is_shown_of_a_schedule_makes_the_same_turns_again(oncall: OnCall) -> None:
    made = await oncall.team(
        "Payments", person("Ada"), person("Bob"), person("Cai"), time_zone="Asia/Kathmandu", handoff_time="17:30"
    )
    again = await oncall.post("/api/v1/schedules", {**made, "team": "Copy"}, status=201)
    assert again["anchor"] == made["anchor"]
    turns = [
        (await oncall.get("/api/v1/oncall/upcoming", team=team, days=90))["items"] for team in ("Payments", "Copy")
    ]
    assert [{**turn, "team": ""} for turn in turns[0]] == [{**turn, "team": ""} for turn in turns[1]]


async def test_the_answer_says_where_the_schedule_is(oncall: OnCall) -> None:
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
    await oncall.team("Payments")
    problem = await oncall.post("/api/v1/schedules", PLAIN, status=409)
    assert problem["detail"] == "The team 'Payments' has a schedule already."


async def test_a_service_belongs_to_one_team(oncall: OnCall) -> None:
    await oncall.team("Payments", services=["ledger", "payments-api"])
    body = {**PLAIN, "team": "Search", "services": ["search-api", "payments-api"]}
    problem = await oncall.post("/api/v1/schedules", body, status=409)
    assert problem["detail"] == "The service 'payments-api' belongs to the team 'Payments'."
    assert [item["team"] for item in (await oncall.get("/api/v1/schedules"))["items"]] == ["Payments"]


async def test_of_teams_made_at_the_same_moment_one_gets_the_name(replica: Replica) -> None:
    replicas = [await replica(), await replica()]
    answers = await asyncio.gather(
        *(replicas[n % 2].client.post("/api/v1/schedules", json={**PLAIN, "services": ["a", "b"]}) for n in range(10))
    )
    assert sorted(answer.status for answer in answers) == [201] + [409] * 9


async def test_of_teams_made_at_the_same_moment_one_gets_the_services(replica: Replica) -> None:
    replicas = [await replica(), await replica()]
    bodies = [{**PLAIN, "team": f"Team {n}", "services": ["a", "b", "c"][:: 1 if n % 2 else -1]} for n in range(10)]
    answers = await asyncio.gather(
        *(replicas[n % 2].client.post("/api/v1/schedules", json=body) for n, body in enumerate(bodies))
    )
    assert sorted(answer.status for answer in answers) == [201] + [409] * 9


async def test_a_repeat_with_the_same_key_gets_the_first_answer(oncall: OnCall) -> None:
    key = str(new_id())
    first = await oncall.post("/api/v1/schedules", PLAIN, status=201, key=key)
    assert await oncall.post("/api/v1/schedules", PLAIN, status=201, key=key) == first
    problem = await oncall.post("/api/v1/schedules", {**PLAIN, "team": "Search"}, status=422, key=key)
    assert problem["errors"][0]["pointer"] == "Idempotency-Key"


async def test_a_key_of_a_request_that_failed_can_be_used_again(oncall: OnCall) -> None:
    await oncall.team("Payments")
    await oncall.post("/api/v1/schedules", PLAIN, status=409, key="k")
    await oncall.post("/api/v1/schedules", {**PLAIN, "team": "Search"}, status=201, key="k")


# (what is changed of a valid schedule, where the problem document points to)
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


async def test_what_is_not_valid_is_refused_with_a_pointer(oncall: OnCall) -> None:
    for change, pointer in INVALID:
        problem = await oncall.post("/api/v1/schedules", {**PLAIN, **change}, status=422)
        assert [error["pointer"] for error in problem["errors"]] == [pointer], change
    assert (await oncall.get("/api/v1/schedules"))["items"] == []


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


async def test_names_of_any_kind_are_kept_as_they_are(oncall: OnCall) -> None:
    name = "Zählung 🚨 ' \" % \\ {}; DROP TABLE oncall.schedule"
    made = await oncall.team(name, person("Ada"))
    assert made["team"] == name
    assert (await oncall.get("/api/v1/oncall/current", team=name))["team"] == name


async def test_a_schedule_is_changed_as_a_whole_and_its_turns_go_on(oncall: OnCall) -> None:
    made = await oncall.team("Payments", person("Ada"), person("Bob"), services=["ledger", "cards"])
    turns = await oncall.get("/api/v1/oncall/upcoming", team="Payments", days=30)
    wanted = {**made, "members": [*made["members"], person("Cai", role="secondary")], "services": ["cards", "wallets"]}
    changed = await oncall.put(made["id"], wanted)
    assert changed == {**made, "members": changed["members"], "services": ["cards", "wallets"], "version": 2}
    assert [member["name"] for member in changed["members"]] == ["Ada", "Bob", "Cai"]
    assert await oncall.get(f"/api/v1/schedules/{made['id']}") == changed
    after = await oncall.get("/api/v1/oncall/upcoming", team="Payments", days=30)
    assert [turn["primary"] for turn in after["items"]] == [turn["primary"] for turn in turns["items"]]
    assert {turn["secondary"]["name"] for turn in after["items"]} == {"Cai"}
    assert (await oncall.team("Ledgers", services=["ledger"]))["services"] == ["ledger"]


async def test_of_two_who_change_a_schedule_the_second_is_told(oncall: OnCall) -> None:
    made = await oncall.team()
    first, second = ({**made, "members": [person(name)]} for name in ("Cai", "Dee"))
    changed = await oncall.put(made["id"], first, version=1)
    problem = await oncall.put(made["id"], second, version=1, status=412)
    assert problem["detail"] == (
        "The schedule of Payments has changed since you looked at it. Nothing was changed now."
    )
    # The same change once more, because its first answer was lost, is none.
    assert await oncall.put(made["id"], first, version=1) == changed
    assert (await oncall.put(made["id"], second, version=2))["version"] == 3


async def test_a_change_that_is_refused_changes_nothing(oncall: OnCall) -> None:
    await oncall.team("Search", services=["search-api"])
    made = await oncall.team("Payments", services=["cards"])
    taken = await oncall.put(made["id"], {**made, "services": ["wallets", "search-api"]}, status=409)
    assert taken["detail"] == "The service 'search-api' belongs to the team 'Search'."
    renamed = await oncall.put(made["id"], {**made, "team": "Cards"}, status=422)
    assert renamed["errors"][0]["pointer"] == "#/team"
    await oncall.put(made["id"], {**made, "members": []}, status=422)
    await oncall.put(str(new_id()), {**made}, status=404)
    assert await oncall.get(f"/api/v1/schedules/{made['id']}") == made


async def test_the_turns_of_another_time_are_shown_too(oncall: OnCall) -> None:
    await oncall.team("Payments", person("Ada"), person("Bob"), start="2026-01-05")
    shown = await oncall.get("/api/v1/oncall/upcoming", team="Payments", days=14, since="2026-03-02T00:00:00Z")
    assert [(turn["starts_at"], turn["primary"]["name"]) for turn in shown["items"]] == [
        ("2026-03-02T00:00:00Z", "Ada"),
        ("2026-03-09T00:00:00Z", "Bob"),
    ]


async def test_a_schedule_that_is_not_there_is_a_404(oncall: OnCall) -> None:
    await oncall.get(f"/api/v1/schedules/{new_id()}", status=404)
    await oncall.get("/api/v1/schedules/unknown", status=404)


async def test_who_is_on_call_is_a_metric_at_once(replica: Replica) -> None:
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
