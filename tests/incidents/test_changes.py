from datetime import UTC, datetime, timedelta

import pytest

from tests.fakes.oncall import FakeOnCall
from tests.support.incidents.api import Api
from tests.support.release_skew import two_releases
from tests.support.waiting import eventually
from tocsin.contracts.incidents import ChangeIncident

NOON = datetime(2026, 10, 22, 12, 0, tzinfo=UTC)


def after(begin: datetime, seconds: float | None) -> datetime:
    """Return the instant *seconds* after *begin*. The clock goes on between requests: rows have the exact time."""
    assert seconds is not None
    return begin + timedelta(seconds=seconds)


async def test_mtta_and_mttr_are_measured_from_creation_to_acknowledge_and_resolve(api: Api) -> None:
    api.set_clock(NOON)
    number = (await api.open()).number
    for status, minutes in (("acknowledged", 2.5), ("in_progress", 10), ("resolved", 42)):
        api.set_clock(NOON + timedelta(minutes=minutes))
        await api.change(number, status=status)
    incident = await api.show(number)
    assert incident.acknowledged_at == after(incident.created_at, incident.mtta_seconds)
    assert incident.resolved_at == after(incident.created_at, incident.mttr_seconds)
    assert after(NOON, 150) <= incident.acknowledged_at < after(NOON, 600)
    assert after(NOON, 2520) <= incident.resolved_at < after(NOON, 3000)
    figures = (await api.get(f"/api/v1/incidents/{number}/metrics")).body
    assert figures == {
        "incident_id": str(incident.id),
        "mtta_seconds": incident.mtta_seconds,
        "mttr_seconds": incident.mttr_seconds,
        "open_seconds": incident.mttr_seconds,
        "status": "resolved",
    }


async def test_in_progress_straight_from_open_sets_the_acknowledgement(api: Api) -> None:
    opened = await api.open()
    api.set_clock(opened.created_at + timedelta(seconds=30))
    incident = await api.change(opened.id, status="in_progress")
    assert incident.acknowledged_at == after(opened.created_at, incident.mtta_seconds)
    assert incident.acknowledged_at >= after(opened.created_at, 30)
    assert incident.mttr_seconds is None


async def test_resolve_straight_from_open_sets_both_times_to_the_same(api: Api) -> None:
    opened = await api.open()
    api.set_clock(opened.created_at + timedelta(seconds=45))
    incident = await api.change(opened.id, status="resolved")
    assert incident.mtta_seconds == incident.mttr_seconds
    assert incident.acknowledged_at == incident.resolved_at == after(opened.created_at, incident.mtta_seconds)
    assert (incident.mttr_seconds or 0) >= 45


async def test_an_open_incident_has_a_time_open_and_no_mtta(api: Api) -> None:
    incident = await api.open()
    api.set_clock(incident.created_at + timedelta(seconds=90))
    figures = (await api.get(f"/api/v1/incidents/{incident.id}/metrics")).body
    assert figures["mtta_seconds"] is figures["mttr_seconds"] is None
    assert 90 <= figures["open_seconds"] < 600


async def test_the_timeline_records_the_life_of_an_incident(api: Api) -> None:
    incident = await api.open()
    path = f"/api/v1/incidents/{incident.id}"
    await api.ask("PATCH", path, {"status": "acknowledged"}, X_Actor="priya")
    await api.change(incident.id, notes="Two merchants called", actor="hannah")
    await api.change(incident.id, severity="critical", title="Checkout is down", assigned_to="Carol", actor="priya")
    await api.change(incident.id, status="in_progress", actor="carol")
    shown = await api.change(incident.id, status="resolved", notes="Rolled back", actor="carol")
    entries = [(entry.event_type, entry.actor, entry.detail) for entry in reversed(shown.timeline)]
    assert entries == [
        ("created", "api", "Opened by hand."),
        ("assigned", "oncall-service", "Assigned to Alice, first on call of platform."),
        ("acknowledged", "priya", "Acknowledged."),
        ("note_added", "hannah", "Two merchants called"),
        ("title_changed", "priya", "Title changed to “Checkout is down”."),
        ("severity_changed", "priya", "Severity changed from high to critical."),
        ("assigned", "priya", "Assigned to Carol."),
        ("status_changed", "carol", "Work has begun: the status is in_progress."),
        ("note_added", "carol", "Rolled back"),
        ("resolved", "carol", "Resolved."),
    ]
    assert [(note.author, note.text) for note in shown.notes] == [
        ("hannah", "Two merchants called"),
        ("carol", "Rolled back"),
    ]
    assert (shown.title, shown.severity, shown.assigned_to) == ("Checkout is down", "critical", "Carol")
    assert all(entry.created_at >= shown.created_at for entry in shown.timeline)


@pytest.mark.parametrize(
    ("path", "target", "allowed"),
    [
        (["acknowledged"], "open", "in_progress or resolved"),
        (["in_progress"], "acknowledged", "resolved"),
        (["resolved"], "open", "that state is final"),
        (["resolved"], "acknowledged", "that state is final"),
    ],
)
async def test_a_forbidden_transition_names_the_state_and_the_allowed_ones(
    api: Api, path: list[str], target: str, allowed: str
) -> None:
    incident = await api.open()
    for status in path:
        await api.change(incident.id, status=status)
    before = await api.show(incident.id)
    answer = await api.ask("PATCH", f"/api/v1/incidents/{incident.id}", {"status": target, "notes": "not kept"})
    assert answer.status == 409
    assert answer.body["type"] == "urn:tocsin:problem:conflict"
    assert path[-1] in answer.body["detail"]
    assert allowed in answer.body["detail"]
    assert await api.show(incident.id) == before, "refused as a whole, the note too"


async def test_the_current_state_is_a_no_op(api: Api) -> None:
    incident = await api.open()
    acknowledged = await api.change(incident.id, status="acknowledged")
    again = await api.ask("PATCH", f"/api/v1/incidents/{incident.id}", {"status": "acknowledged"})
    assert again.status == 200
    assert again.headers["ETag"] == '"2"'
    assert await api.show(incident.id) == acknowledged
    assert await api.change(incident.id) == acknowledged


async def test_the_version_increases_with_each_change_by_a_person(api: Api) -> None:
    incident = await api.open()
    assert incident.version == 1
    assert (await api.change(incident.id, notes="seen")).version == 2
    assert (await api.change(incident.id, title=incident.title)).version == 2
    answer = await api.get(f"/api/v1/incidents/{incident.id}")
    assert answer.headers["ETag"] == '"2"'


async def test_a_stale_change_is_refused_and_a_fresh_one_is_not(api: Api) -> None:
    incident = await api.open()
    path = f"/api/v1/incidents/{incident.id}"
    assert (await api.ask("PATCH", path, {"assigned_to": "Bob"}, If_Match='"1"')).status == 200
    stale = await api.ask("PATCH", path, {"assigned_to": "Eve"}, If_Match='"1"')
    assert stale.status == 412
    assert stale.body["type"] == "urn:tocsin:problem:stale"
    assert (await api.show(incident.id)).assigned_to == "Bob"
    assert (await api.ask("PATCH", path, {"assigned_to": "Eve"}, If_Match='"2"')).status == 200
    assert (await api.ask("PATCH", path, {"assigned_to": "Dan"}, If_Match="*")).status == 200
    assert (await api.ask("PATCH", path, {"assigned_to": "Dan"}, If_Match="yesterday")).status == 422


async def test_a_repeated_patch_of_one_idempotency_key_has_one_effect(api: Api) -> None:
    incident = await api.open()
    path, body = f"/api/v1/incidents/{incident.id}", {"notes": "seen", "status": "acknowledged"}
    first = await api.ask("PATCH", path, body, Idempotency_Key="k", If_Match='"1"')
    again = await api.ask("PATCH", path, body, Idempotency_Key="k", If_Match='"1"')
    assert (first.status, again.status) == (200, 200)
    assert again.body == first.body
    assert len(again.body["notes"]) == 1
    other = await api.ask("PATCH", path, {"notes": "seen again"}, Idempotency_Key="k")
    assert other.status == 422


async def test_a_refused_patch_does_not_use_up_its_idempotency_key(api: Api) -> None:
    incident = await api.open()
    path = f"/api/v1/incidents/{incident.id}"
    await api.change(incident.id, status="resolved")
    for _ in range(2):
        assert (await api.ask("PATCH", path, {"status": "acknowledged"}, Idempotency_Key="k")).status == 409


async def test_paging_stops_once_at_the_first_acknowledgement_and_once_at_the_resolution(
    api: Api, oncall: FakeOnCall
) -> None:
    incident = await api.open()
    await api.change(incident.id, status="acknowledged", actor="priya")
    await api.change(incident.id, status="in_progress", actor="priya")
    await api.change(incident.id, status="resolved", actor="carol")
    await api.change(incident.id, status="resolved", actor="carol")
    await eventually(lambda: oncall.count("stop", incident.id) == 2)
    assert [(stop.reason, stop.actor) for _, stop in oncall.stops] == [("acknowledged", "priya"), ("resolved", "carol")]
    straight = await api.open(service="search")
    await api.change(straight.id, status="resolved")
    await eventually(lambda: oncall.count("stop", straight.id) == 1)
    assert oncall.calls[-2:] == [("start", straight.id), ("stop", straight.id)]


async def test_a_report_is_appended_once_per_event_key(api: Api) -> None:
    incident = await api.open()
    path = f"/api/v1/incidents/{incident.id}/timeline"
    report = {
        "event_key": "paged:1",
        "event_type": "paged",
        "actor": "oncall-service",
        "detail": "Paged Alice.",
        "data": {"step": 1},
    }
    first = await api.ask("POST", path, report)
    assert first.status == 201
    again = await api.ask("POST", path, report | {"detail": "Paged Alice, again."})
    assert (again.status, again.body) == (201, first.body)
    shown = await api.show(incident.id)
    assert [entry.event_type for entry in shown.timeline] == ["paged", "assigned", "created"]
    assert shown.timeline[0].data == {"step": 1}
    assert shown.version == 1
    other = await api.open(service="search")
    assert (await api.ask("POST", f"/api/v1/incidents/{other.id}/timeline", report)).body["id"] != first.body["id"]


async def test_a_retried_report_returns_the_first_entry(api: Api) -> None:
    incident = await api.open()
    path = f"/api/v1/incidents/{incident.number}/timeline"
    report = {"event_key": "e", "event_type": "escalated", "actor": "oncall-service", "detail": "To the secondary."}
    first = await api.ask("POST", path, report, Idempotency_Key="k")
    assert (await api.ask("POST", path, report, Idempotency_Key="k")).body == first.body
    assert (await api.ask("POST", path, report | {"event_key": "f"}, Idempotency_Key="k")).status == 422


@pytest.mark.parametrize("newer_first", [False, True])
async def test_a_retry_that_crosses_a_deploy_is_a_replay(api: Api, *, newer_first: bool) -> None:
    incident = await api.open()
    path, body = f"/api/v1/incidents/{incident.id}", {"notes": "seen"}
    for release in two_releases(ChangeIncident, newer_first=newer_first):
        with release:
            answer = await api.ask("PATCH", path, body, Idempotency_Key="k")
        assert answer.status == 200, answer.body
        assert len(answer.body["notes"]) == 1
