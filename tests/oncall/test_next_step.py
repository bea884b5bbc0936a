"""The next level at once: requested by a person, or because no page could be delivered."""

import asyncio
from typing import Any

import pytest

from tests.oncall.conftest import OnCall, Replica, delivered, person, reported
from tests.support.waiting import eventually
from tocsin.kernel.ids import new_id

TWO_WAYS = [
    {"channel": "email", "address": "ada@example.net"},
    {"channel": "webhook", "address": "https://hooks.example.net/ada"},
]


async def escalate(oncall: OnCall, incident_id: str, *, status: int = 201, **more: Any) -> Any:
    return await oncall.post("/api/v1/escalate", {"incident_id": incident_id, **more}, status=status)


async def fail(oncall: OnCall, page: dict[str, Any], incident_id: str, detail: str = "550 no such user") -> Any:
    body = {"notification_id": page["notification_id"], "detail": detail}
    return await oncall.post(f"/api/v1/escalations/{incident_id}/delivery-failed", body)


async def fail_latest(oncall: OnCall, escalation: Any) -> Any:
    """Report every page of the latest step as failed; return the escalation."""
    latest = escalation
    for page in escalation["pages"]:
        if page["step"] == escalation["step"]:
            latest = await fail(oncall, page, escalation["incident_id"])
    return latest


async def test_escalate_pages_the_next_level_now_and_records_who_requested_it(oncall: OnCall) -> None:
    await oncall.team("Payments", person("Ada"), person("Bob", role="secondary"))
    incident_id = (await oncall.start())["incident_id"]
    result = await escalate(oncall, incident_id, reason="needs a database person", actor="Eve")
    assert (result["step"], result["level"], result["next_level"]) == (2, "secondary", "everyone")
    assert result["assigned_to"] == "Ada", "the person paged first"
    await delivered(oncall, incident_id, (1, "Ada", "mock"), (2, "Bob", "mock"))
    ada, bob = (page["reason"] for page in result["pages"])
    why = "requested by Eve: needs a database person"
    await reported(
        oncall,
        incident_id,
        ("paged", f"Paged Ada by console: {ada}"),
        ("escalated", f"Escalated to level 2, secondary for Payments: {why}"),
        ("paged", f"Paged Bob by console: {bob}"),
    )
    assert oncall.timeline.entries(incident_id)[1]["actor"] == "Eve"
    assert (await oncall.metrics())['escalations_total{team="Payments"}'] == 1


async def test_x_actor_names_the_actor_if_the_body_does_not(oncall: OnCall) -> None:
    await oncall.team()
    incident_id = (await oncall.start())["incident_id"]
    await oncall.client.post("/api/v1/escalate", json={"incident_id": incident_id}, headers={"X-Actor": "Eve"})
    await eventually(lambda: len(oncall.timeline.entries(incident_id)) == 3)
    assert oncall.timeline.texts(incident_id)[1][1].endswith("requested by Eve")


async def test_another_team_is_paged_from_its_first_level(oncall: OnCall) -> None:
    await oncall.team("Payments")
    await oncall.team("Search", person("Sue"), person("Sam", role="secondary"))
    incident_id = (await oncall.start())["incident_id"]
    result = await escalate(oncall, incident_id, team="Search", actor="Eve")
    assert (result["team"], result["team_reason"]) == ("Search", "requested by Eve")
    assert (result["step"], result["level"], result["next_people"]) == (2, "primary", ["Sam"])
    await delivered(oncall, incident_id, (1, "Ada", "mock"), (2, "Sue", "mock"))
    again = await escalate(oncall, incident_id, team="Search")
    assert again["level"] == "secondary", "its own team means the next level"


async def test_escalate_fails_for_unknown_incidents_and_teams_and_once_paging_has_stopped(oncall: OnCall) -> None:
    await oncall.team()
    incident_id, unknown, overtaken = (await oncall.start())["incident_id"], str(new_id()), str(new_id())
    assert (await escalate(oncall, unknown, status=404))["detail"] == (
        f"Incident {unknown} has no escalation: paging was never started for it. Check the id."
    )
    assert (await escalate(oncall, incident_id, team="Nobody", status=404))["detail"] == (
        "There is no team 'Nobody'. Use one of: Payments, or create it with POST /api/v1/schedules."
    )
    await oncall.stop(incident_id)
    await oncall.stop(overtaken, "resolved")
    hint = "Only an unacknowledged incident can be escalated."
    problem = await escalate(oncall, incident_id, status=409)
    assert problem["detail"] == f"Paging has stopped: acknowledged by Ada. {hint}"
    problem = await escalate(oncall, overtaken, status=409)
    assert problem["detail"] == f"Paging has stopped: resolved by Ada. {hint}"
    assert oncall.rows("SELECT max(step) FROM oncall.escalation") == [{"max": 1}]


async def test_a_retry_of_escalate_with_the_same_key_pages_nobody(oncall: OnCall) -> None:
    await oncall.team()
    body = {"incident_id": (await oncall.start())["incident_id"]}
    first = await oncall.post("/api/v1/escalate", body, status=201, key="once")
    assert await oncall.post("/api/v1/escalate", body, status=201, key="once") == first
    assert (await oncall.post("/api/v1/escalate", body, status=201, key="twice"))["step"] == 3
    await oncall.post("/api/v1/escalate", {**body, "reason": "other"}, status=422, key="once")


async def test_nobody_else_is_paged_while_a_page_of_the_step_may_still_arrive(oncall: OnCall) -> None:
    await oncall.team("Payments", person("Ada", contacts=TWO_WAYS), person("Bob", role="secondary"))
    started = await oncall.start()
    result = await fail(oncall, started["pages"][0], started["incident_id"])
    assert (result["step"], result["next_action_at"]) == (1, started["next_action_at"])
    assert [page["failure"] for page in result["pages"]] == ["550 no such user", None]
    assert result["pages"][0]["failed_at"] is not None


async def test_once_all_pages_of_the_step_have_failed_the_next_level_is_paged_with_the_reason(oncall: OnCall) -> None:
    await oncall.team("Payments", person("Ada", contacts=TWO_WAYS), person("Bob", role="secondary"))
    started = await oncall.start()
    result = await fail_latest(oncall, started)
    assert (result["step"], result["level"]) == (2, "secondary")
    await eventually(lambda: len(oncall.timeline.texts(started["incident_id"])) == 3)
    assert oncall.timeline.texts(started["incident_id"])[1] == (
        "escalated",
        "Escalated to level 2, secondary for Payments: no page of step 1 could be delivered (550 no such user)",
    )


@pytest.mark.slow
async def test_concurrent_failures_of_one_step_escalate_once(replica: Replica) -> None:
    replicas = [await replica(), await replica()]
    await replicas[0].team("Payments", person("Ada", contacts=TWO_WAYS), person("Bob", role="secondary"))
    for _ in range(10):
        started = await replicas[0].start()
        incident_id = started["incident_id"]
        await asyncio.gather(*(fail(replicas[n % 2], started["pages"][n % 2], incident_id) for n in range(6)))
        assert (await replicas[0].get(f"/api/v1/escalations/{incident_id}"))["step"] == 2


async def test_a_failure_of_an_earlier_step_does_not_escalate(oncall: OnCall) -> None:
    await oncall.team("Payments", person("Ada"), person("Bob", role="secondary"))
    started = await oncall.start()
    await escalate(oncall, started["incident_id"])
    assert (await fail_latest(oncall, started))["step"] == 2


async def test_failures_after_a_stop_page_nobody(oncall: OnCall) -> None:
    await oncall.team()
    started = await oncall.start()
    await oncall.stop(started["incident_id"])
    assert (await fail_latest(oncall, started))["step"] == 1


async def test_after_all_levels_have_failed_the_catch_all_is_paged_once_until_the_time_out(replica: Replica) -> None:
    oncall = await replica(catch_all_contact="email:noc@example.net")
    await oncall.team("Payments", person("Ada"), person("Bob", role="secondary"))
    escalation = await oncall.start()
    incident_id = escalation["incident_id"]
    levels = []
    for _ in range(4):
        levels.append(escalation["level"])
        escalation = await fail_latest(oncall, escalation)
    assert levels == ["primary", "secondary", "everyone", "catch_all"]
    assert (escalation["step"], escalation["level"], escalation["next_level"]) == (4, "catch_all", "primary")
    assert escalation["next_action_at"] is not None
    await eventually(lambda: len(oncall.notifications.paged(incident_id)) == 5)
    assert (4, "the catch-all contact", "email") in oncall.notifications.paged(incident_id)
    await eventually(lambda: len(oncall.timeline.texts(incident_id)) == 8)
    assert oncall.timeline.texts(incident_id)[-2:] == [
        (
            "escalated",
            "Escalated to the catch-all contact: no page of step 3 could be delivered (550 no such user)",
        ),
        ("paged", "Paged the catch-all contact by e-mail: no page to Payments could be delivered"),
    ]
    assert (await oncall.metrics())['tocsin_oncall_catch_all_pages_total{reason="undeliverable"}'] == 1


async def test_a_failure_reported_again_is_a_no_op(oncall: OnCall) -> None:
    await oncall.team("Payments", person("Ada"), person("Bob", role="secondary"))
    started = await oncall.start()
    first = await fail_latest(oncall, started)
    assert await fail_latest(oncall, started) == first
    body = {"notification_id": started["pages"][0]["notification_id"]}
    path = f"/api/v1/escalations/{started['incident_id']}/delivery-failed"
    for _ in range(2):
        assert await oncall.post(path, body, key="report") == first


async def test_a_page_of_another_incident_is_a_404(oncall: OnCall) -> None:
    await oncall.team()
    one, other = await oncall.start(), await oncall.start()
    body = {"notification_id": one["pages"][0]["notification_id"]}
    path = f"/api/v1/escalations/{other['incident_id']}/delivery-failed"
    problem = await oncall.post(path, body, status=404)
    assert body["notification_id"] in problem["detail"]
