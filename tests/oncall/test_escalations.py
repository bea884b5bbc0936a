"""Escalations over HTTP: start, stop, read."""

import asyncio
import json
import re
from typing import Any

import pytest

from tests.oncall.conftest import OnCall, Replica, delivered, person, reported, start_of
from tests.support.release_skew import two_releases
from tests.support.waiting import eventually
from tocsin.contracts.escalations import StartEscalation
from tocsin.kernel.ids import new_id

HOOK = {"channel": "webhook", "address": "https://hooks.example.net/ada?" + "x" * 2_000}
MAIL = {"channel": "email", "address": "ada@home.example.net"}


def paged_by(started: dict[str, Any]) -> list[tuple[int, str, str]]:
    return [(page["step"], page["person"], page["channel"]) for page in started["pages"]]


async def test_a_start_pages_the_primary_at_once_and_returns_who_was_paged(oncall: OnCall) -> None:
    await oncall.team("Payments", person("Ada", contacts=[HOOK, MAIL]), person("Bob", role="secondary"))
    started = await oncall.start()
    assert (started["team"], started["team_reason"]) == ("Payments", "the service has the name of the team Payments")
    assert (started["assigned_to"], started["step"], started["level"]) == ("Ada", 1, "primary")
    assert (started["next_level"], started["next_people"]) == ("secondary", ["Bob"])
    assert started["timeout_seconds"] == 300
    assert [(page["person"], page["channel"]) for page in started["pages"]] == [("Ada", "webhook"), ("Ada", "email")]
    await delivered(oncall, started["incident_id"], (1, "Ada", "email"), (1, "Ada", "webhook"))
    week = started["pages"][0]["reason"].removesuffix(")").rsplit(" ", 1)[1]
    reason = f"level 1, primary for Payments (weekly rotation, week {week})"
    await reported(oncall, started["incident_id"], ("paged", f"Paged Ada by webhook, e-mail: {reason}"))
    assert await oncall.get(f"/api/v1/escalations/{started['incident_id']}") == started


async def test_a_page_contains_the_incident_the_person_and_the_reason(oncall: OnCall) -> None:
    await oncall.team("Payments", person("Ada", contacts=[MAIL]))
    started = await oncall.start()
    await delivered(oncall, started["incident_id"], (1, "Ada", "email"))
    (page,) = oncall.notifications.pages.values()
    assert page["notification_id"] == started["pages"][0]["notification_id"]
    assert (page["kind"], page["recipient"]) == ("page", "ada@home.example.net")
    assert page["message"].startswith(
        "#2481 Card payments fail: critical in Payments. Paged: level 1, primary for Payments"
    )
    given = start_of(started["incident_id"])
    assert page["page"]["incident"] == {
        name: given[name] for name in ("number", "title", "service", "severity", "created_at")
    }
    assert (page["page"]["step"], page["page"]["level"], page["page"]["person"]) == (1, "primary", "Ada")


async def test_a_timeline_entry_lists_the_notification_of_each_channel(oncall: OnCall) -> None:
    await oncall.team("Payments", person("Ada", contacts=[HOOK, MAIL]))
    started = await oncall.start()
    await eventually(lambda: oncall.timeline.entries(started["incident_id"]))
    (entry,) = oncall.timeline.entries(started["incident_id"])
    assert entry["actor"] == "oncall-service"
    assert (entry["data"]["person"], entry["data"]["level"], entry["data"]["step"]) == ("Ada", "primary", 1)
    shown = [{"channel": page["channel"], "notification_id": page["notification_id"]} for page in started["pages"]]
    assert entry["data"]["channels"] == shown


@pytest.mark.parametrize("people", [[person("Ada", contacts=[HOOK, MAIL])], []], ids=["primary", "nobody"])
async def test_the_first_step_is_reported_to_the_timeline_or_returned_also_to_a_retry(
    oncall: OnCall, people: list[dict[str, Any]]
) -> None:
    if people:
        await oncall.team("Payments", *people)
    path, reporting, returning = "/api/v1/escalations", start_of(str(new_id())), start_of(str(new_id()))
    await oncall.post(path, reporting)
    expected = 1 if people else 2
    await eventually(lambda: len(oncall.timeline.entries(reporting["incident_id"])) == expected)
    started = await oncall.post(f"{path}?timeline=return", returning, key="start-1")
    await delivered(oncall, returning["incident_id"], *paged_by(started))
    assert oncall.timeline.entries(returning["incident_id"]) == []

    def without_ids(entries: list[dict[str, Any]]) -> list[str]:
        shown = [[entry[name] for name in ("event_type", "actor", "detail", "data")] for entry in entries]
        return [re.sub("[0-9a-f]{8}-[-0-9a-f]{27}", "an id", json.dumps(entry)) for entry in shown]

    assert without_ids(started["timeline"]) == without_ids(oncall.timeline.entries(reporting["incident_id"]))
    assert await oncall.post(f"{path}?timeline=return", returning, key="start-1") == started


async def test_what_became_of_an_escalation_does_not_change_what_its_first_step_adds_to_the_timeline(
    oncall: OnCall,
) -> None:
    await oncall.team("Payments", person("Ada"), person("Bob", role="secondary"))
    await oncall.team("Search", person("Sue"))
    body = start_of(str(new_id()))
    started = await oncall.post("/api/v1/escalations?timeline=return", body)
    for escalate in ({}, {"team": "Search"}):
        await oncall.post("/api/v1/escalate", {"incident_id": body["incident_id"], **escalate}, status=201)
    await oncall.stop(body["incident_id"])
    again = await oncall.post("/api/v1/escalations?timeline=return", body)
    assert again["timeline"] == started["timeline"] != []


@pytest.mark.parametrize("enabled", [{"email_enabled": True}, {"smtp_url": "smtp://mail.example.net"}])
async def test_members_without_contacts_are_paged_by_e_mail_only_with_a_mail_server(
    replica: Replica, enabled: dict[str, Any]
) -> None:
    without, with_mail = await replica(), await replica(**enabled)
    await without.team("Payments", person("Ada"))
    first, second = await without.start(), await with_mail.start()
    await delivered(without, first["incident_id"], (1, "Ada", "mock"))
    await delivered(without, second["incident_id"], (1, "Ada", "email"))
    assert {page["recipient"] for page in without.notifications.pages.values()} == {"ada@example.net"}


async def test_an_incident_is_routed_by_team_name_then_by_service_then_to_the_default_team(replica: Replica) -> None:
    oncall = await replica(default_team="Operations")
    await oncall.team("Search", person("Sue"), services=["Payments", "indexer"])
    found = []
    for name in ("Operations", "Payments"):
        found.append(await oncall.start(service="unowned"))
        await oncall.team(name, person(name))
    found += [await oncall.start(service=service) for service in ("Payments", "indexer", "unowned")]
    assert [(item["team"], item["assigned_to"], item["team_reason"]) for item in found] == [
        (
            "Search",
            "Sue",
            "no team owns unowned, the default team Operations does not exist; Search is oldest",
        ),
        ("Operations", "Operations", "no team owns unowned; Operations is the default team"),
        ("Payments", "Payments", "the service has the name of the team Payments"),
        ("Search", "Sue", "Search owns indexer"),
        ("Operations", "Operations", "no team owns unowned; Operations is the default team"),
    ]


async def test_the_team_of_drills_is_never_the_fallback_for_a_missing_team(replica: Replica) -> None:
    oncall = await replica(default_team="Operations")
    await oncall.team("tocsin-drill", person("Console"))
    nobody = await oncall.start(service="unowned")
    await oncall.team("Search", person("Sue"))
    found = [nobody, await oncall.start(service="unowned"), await oncall.start(service="tocsin-drill")]
    assert [item["team"] for item in found] == ["Operations", "Search", "tocsin-drill"]


async def test_there_is_one_escalation_per_incident(replica: Replica) -> None:
    replicas = [await replica(), await replica()]
    await replicas[0].team()
    incident_id = str(new_id())
    started = await asyncio.gather(*(replicas[n % 2].start(incident_id) for n in range(20)))
    assert [item for item in started if item != started[0]] == []
    await delivered(replicas[0], incident_id, (1, "Ada", "mock"))


async def test_a_retry_of_a_start_with_the_same_key_is_a_no_op(oncall: OnCall) -> None:
    await oncall.team()
    body = start_of(str(new_id()))
    first = await oncall.post("/api/v1/escalations", body, key="start-1")
    assert await oncall.post("/api/v1/escalations", body, key="start-1") == first
    await oncall.post("/api/v1/escalations", {**body, "number": 7}, status=422, key="start-1")


async def test_a_stop_ends_paging_and_records_the_reason(oncall: OnCall) -> None:
    await oncall.team()
    started = await oncall.start()
    incident_id = started["incident_id"]
    await delivered(oncall, incident_id, (1, "Ada", "mock"))
    stopped = await oncall.stop(incident_id, "acknowledged")
    assert (stopped["next_action_at"], stopped["next_level"], stopped["next_people"]) == (None, None, [])
    assert stopped["stop_reason"] == "acknowledged"
    assert stopped["pages"] == started["pages"], "a page that was delivered is not cancelled here"
    await eventually(lambda: oncall.notifications.cancelled)
    cancelled = {
        "incident_id": incident_id,
        "reason": "acknowledged by Ada",
        "paged_until": stopped["stopped_at"],
    }
    assert oncall.notifications.cancelled == [cancelled]
    again = await oncall.stop(incident_id, "resolved")
    assert again == stopped, "the first stop counts"
    assert await oncall.start(incident_id) == stopped


async def test_a_stop_cancels_pages_that_have_not_been_sent(replica: Replica) -> None:
    oncall = await replica(retry_min_seconds=3_600, retry_max_seconds=3_600)
    await oncall.team("Payments", person("Ada", contacts=[HOOK, MAIL]))
    await oncall.notifications.stop()
    started = await oncall.start()
    failed = "SELECT id FROM oncall.outbox WHERE kind = 'page' AND last_error IS NOT NULL"
    await eventually(lambda: len(oncall.rows(failed)) == 2)  # none is on its way
    await oncall.notifications.start()
    stopped = await oncall.stop(started["incident_id"])
    assert all(page["voided_at"] for page in stopped["pages"])
    await eventually(lambda: oncall.notifications.cancelled)
    assert oncall.notifications.paged(started["incident_id"]) == []
    assert oncall.rows("SELECT count(*) FROM oncall.outbox WHERE kind = 'page' AND done_at IS NULL") == [{"count": 0}]


async def test_a_stop_may_arrive_before_its_start(oncall: OnCall) -> None:
    await oncall.team()
    incident_id = str(new_id())
    stopped = await oncall.stop(incident_id, "resolved")
    assert (stopped["team"], stopped["stop_reason"], stopped["step"]) == (None, "resolved", 0)
    started = await oncall.start(incident_id)
    assert (started["team"], started["stop_reason"], started["assigned_to"]) == ("Payments", "resolved", None)
    assert started["pages"] == []
    assert oncall.rows("SELECT kind FROM oncall.outbox") == [{"kind": "cancel_pages"}]


async def test_concurrent_start_and_stop_leave_nobody_paged(replica: Replica) -> None:
    replicas = [await replica(), await replica()]
    await replicas[0].team()
    replicas[0].notifications.gate.clear()
    incidents = [str(new_id()) for _ in range(30)]
    await asyncio.gather(*(job for n in incidents for job in (replicas[0].start(n), replicas[1].stop(n))))
    assert replicas[0].rows("SELECT count(*) FROM oncall.escalation WHERE stopped_at IS NULL") == [{"count": 0}]
    assert replicas[0].rows("SELECT count(*) FROM oncall.page WHERE cancelled_at IS NULL") == [{"count": 0}]
    replicas[0].notifications.gate.set()


async def test_several_escalations_can_be_read_at_once(oncall: OnCall) -> None:
    await oncall.team()
    started = [await oncall.start(number=number) for number in range(3)]
    ids = [item["incident_id"] for item in started]
    found = await oncall.get("/api/v1/escalations", incident_id=[*ids[:2], str(new_id())])
    assert found["items"] == started[:2]


async def test_invalid_requests_are_rejected(oncall: OnCall) -> None:
    unknown = str(new_id())
    cases: list[tuple[Any, str, Any, int]] = [
        (oncall.get, f"/api/v1/escalations/{unknown}", {}, 404),
        (oncall.get, "/api/v1/escalations/unknown", {}, 404),
        (oncall.get, "/api/v1/escalations", {}, 422),
        (oncall.get, "/api/v1/escalations", {"incident_id": "unknown"}, 422),
        (oncall.get, "/api/v1/escalations", {"incident_id": [unknown] * 151}, 422),
    ]
    for get, path, query, status in cases:
        problem = await get(path, status=status, **query)
        assert problem["status"] == status
    problem = await oncall.get("/api/v1/escalations/2481", status=404)
    assert problem["detail"] == ("'2481' is not the id of an incident (a UUID). GET /api/v1/incidents lists the ids.")
    bodies: list[tuple[str, Any, int]] = [
        ("/api/v1/escalations", {**start_of(unknown), "severity": "dreadful"}, 422),
        ("/api/v1/escalations", {**start_of(unknown), "service": ""}, 422),
        (f"/api/v1/escalations/{unknown}/stop", {"reason": "tired", "actor": "Ada"}, 422),
        (f"/api/v1/escalations/{unknown}/stop", {"reason": "resolved"}, 422),
        (f"/api/v1/escalations/{unknown}/delivery-failed", {"notification_id": unknown}, 404),
        ("/api/v1/escalate", {"incident_id": "unknown"}, 422),
        ("/api/v1/escalate", {"incident_id": unknown, "reason": "x" * 1_025}, 422),
    ]
    for path, body, status in bodies:
        problem = await oncall.post(path, body, status=status)
        assert problem["status"] == status
    assert (await oncall.client.delete("/api/v1/escalate")).headers["Allow"] == "POST"


async def test_a_title_of_any_length_is_paged(oncall: OnCall) -> None:
    await oncall.team()
    body = {**start_of(str(new_id())), "title": "é" * 40_000}
    started = await oncall.post("/api/v1/escalations", body)
    await delivered(oncall, started["incident_id"], (1, "Ada", "mock"))


@pytest.mark.parametrize("newer_first", [False, True])
async def test_a_retry_that_crosses_a_deploy_is_a_replay(oncall: OnCall, *, newer_first: bool) -> None:
    await oncall.team()
    body = start_of(str(new_id()))
    responses = []
    for release in two_releases(StartEscalation, newer_first=newer_first):
        with release:
            responses.append(await oncall.post("/api/v1/escalations", body, key="start"))
    assert responses[0] == responses[1]
