"""Escalations that were stopped although their incidents are open: found by comparison, and resumed."""

from datetime import datetime
from typing import Any

from tests.oncall.conftest import OnCall, delivered, person, start_of
from tests.support.waiting import eventually
from tocsin.kernel.ids import new_id

MAIL = {"channel": "email", "address": "ada@home.example.net"}


def paged_by(started: dict[str, Any]) -> list[tuple[int, str, str]]:
    return [(page["step"], page["person"], page["channel"]) for page in started["pages"]]


async def test_a_stopped_escalation_is_resumed_at_its_next_level(oncall: OnCall) -> None:
    await oncall.team("Payments", person("Ada", contacts=[MAIL]), person("Bob", role="secondary", contacts=[MAIL]))
    started = await oncall.start()
    incident_id = started["incident_id"]
    stopped = await oncall.stop(incident_id, "resolved")
    again = await oncall.post("/api/v1/escalations", start_of(incident_id))
    assert again["stopped_at"] == stopped["stopped_at"], "a mere repeat is a no-op"
    resumed = await oncall.post("/api/v1/escalations?timeline=return", {**start_of(incident_id), "resume": True})
    assert (resumed["step"], resumed["level"], resumed["stopped_at"]) == (2, "secondary", None)
    assert (resumed["assigned_to"], paged_by(resumed)) == ("Ada", [(2, "Bob", "email")])
    await eventually(lambda: (2, "Bob", "email") in oncall.notifications.paged(incident_id))
    why = "paging was stopped although the incident is unacknowledged"
    await eventually(lambda: any(why in text for _, text in oncall.timeline.texts(incident_id)))
    await oncall.post("/api/v1/escalations", {**start_of(incident_id), "resume": True})
    shown = await oncall.get(f"/api/v1/escalations/{incident_id}")
    assert (shown["step"], len(shown["pages"])) == (2, 2), "a running one is left alone"


async def test_an_escalation_that_was_stopped_before_its_start_is_resumed_at_level_1(oncall: OnCall) -> None:
    await oncall.team("Payments", person("Ada", contacts=[MAIL]))
    incident_id = str(new_id())
    await oncall.stop(incident_id)
    resumed = await oncall.post("/api/v1/escalations", {**start_of(incident_id), "resume": True})
    assert (resumed["level"], resumed["assigned_to"]) == ("primary", "Ada")
    await delivered(oncall, incident_id, (1, "Ada", "email"))


async def test_the_running_escalations_are_those_that_started_and_are_not_stopped(oncall: OnCall) -> None:
    await oncall.team("Payments", person("Ada", contacts=[MAIL]))
    running, stopped, early = [str(new_id()) for _ in range(3)]
    await oncall.start(running)
    await oncall.start(stopped)
    for incident_id in (stopped, early):
        await oncall.stop(incident_id)
    asked = {"incident_ids": [running, stopped, early, str(new_id())]}
    assert await oncall.post("/api/v1/escalations/running", asked) == {"incident_ids": [running]}
    await oncall.post("/api/v1/escalations/running", {"incident_ids": [running] * 1_001}, status=422)


async def test_a_stop_cancels_the_pages_decided_before_it_even_if_it_began_before_them(oncall: OnCall) -> None:
    await oncall.team("Payments", person("Ada", contacts=[MAIL]))
    incident_id = (await oncall.start())["incident_id"]
    later = "UPDATE oncall.page SET created_at = tocsin.now() + interval '1 minute' RETURNING created_at"
    [page] = oncall.rows(later)
    await oncall.stop(incident_id)
    await eventually(lambda: oncall.notifications.cancelled)
    (cancelled,) = oncall.notifications.cancelled
    assert datetime.fromisoformat(cancelled["paged_until"]) == page["created_at"]
