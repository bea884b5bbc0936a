import asyncio
from datetime import UTC, datetime, timedelta

from tests.fakes.oncall import FakeOnCall
from tests.incidents.conftest import Query, StartReplica
from tests.support.incidents.api import Api, alert
from tests.support.waiting import eventually
from tocsin.contracts.incidents import EventType, Incident
from tocsin.kernel.ids import new_id

NOON = datetime(2026, 10, 22, 12, 0, tzinfo=UTC)


def events(incident: Incident) -> list[EventType]:
    """Return what happened, oldest first."""
    return [entry.event_type for entry in reversed(incident.timeline)]


async def test_the_first_alert_opens_an_incident_and_the_second_joins_it(api: Api, oncall: FakeOnCall) -> None:
    first = alert(message="HighErrorRate: checkout\nanswers 5xx", remark="severity “ouch” is not known: taken as high")
    second = alert(message="PaymentTimeout")
    [opened] = await api.correlate(first)
    [joined] = await api.correlate(second)
    assert opened["action"] == "new_incident"
    assert joined == {
        "alert_id": second["alert_id"],
        "incident_id": opened["incident_id"],
        "action": "attached_to_existing_incident",
        "joined": "attached_to_existing_incident",
    }
    incident = await api.show(opened["incident_id"])
    assert incident.title == "HighErrorRate: checkout"
    assert incident.description == "HighErrorRate: checkout\nanswers 5xx"
    assert (incident.service, incident.severity, incident.status) == ("checkout", "high", "open")
    assert (incident.alert_count, incident.alerts_total, incident.firing_count) == (2, 2, 2)
    assert [str(item.alert_id) for item in incident.alerts] == [second["alert_id"], first["alert_id"]]
    assert incident.alerts[1].labels == {"job": "checkout"}
    [attached, created] = [entry for entry in incident.timeline if entry.actor == "alert-ingestion"]
    assert created.detail == (
        "Opened by 1 alert from alertmanager: no unresolved high incident of checkout within 5 min. "
        "severity “ouch” is not known: taken as high."
    )
    assert attached.detail == "1 alert from alertmanager attached: same service and severity."
    await eventually(lambda: oncall.count("start", incident.id) == 1)
    assert oncall.starts[0].number == incident.number


async def test_the_person_on_call_is_assigned_to_an_incident_that_an_alert_opened(api: Api) -> None:
    [opened] = await api.correlate(alert())

    async def assigned() -> Incident | None:
        incident = await api.show(opened["incident_id"])
        return incident if incident.assigned_to else None

    incident = await eventually(assigned)
    assert incident is not None
    assert (incident.assigned_to, incident.team) == ("Alice", "platform")
    assert incident.version == 1, "on-call's response makes no person's change stale"
    assert incident.timeline[0].detail == "Assigned to Alice, first on call of platform."


async def test_other_services_and_severities_have_incidents_of_their_own(api: Api) -> None:
    results = await api.correlate(
        alert(), alert(severity="critical"), alert(service="search"), alert(), alert(service="search")
    )
    assert [result["action"] for result in results] == ["new_incident"] * 3 + ["attached_to_existing_incident"] * 2
    ids = [result["incident_id"] for result in results]
    assert ids[3] == ids[0]
    assert ids[4] == ids[2]
    assert len(set(ids)) == 3


async def test_a_thousand_alerts_are_one_timeline_entry_and_a_handful_of_statements(api: Api, query: Query) -> None:
    await api.correlate(*(alert(service=f"service-{number % 10}") for number in range(1000)))
    await api.correlate(*(alert(service=f"service-{number % 10}") for number in range(1000)))
    [entries] = query("SELECT count(*) FROM incidents.timeline WHERE actor = 'alert-ingestion'")
    assert entries["count"] == 20
    incident = (await api.get("/api/v1/incidents", service="service-3")).body["items"][0]
    shown = await api.show(incident["id"])
    assert (shown.alert_count, shown.firing_count) == (200, 200)
    assert len(shown.alerts) == 100
    assert shown.alerts_total == 200
    attached = next(entry for entry in shown.timeline if entry.event_type is EventType.ALERT_ATTACHED)
    assert attached.detail == "100 alerts from alertmanager attached: same service and severity."
    assert attached.data["alerts"] == 100


async def test_a_retried_batch_changes_nothing_and_returns_the_same_results(api: Api, query: Query) -> None:
    batch = [alert(), alert(service="search"), alert(dedup_key="k"), alert(status="resolved", fired_at=None)]
    first = await api.correlate(*batch)
    before = query("SELECT * FROM incidents.timeline WHERE actor = 'alert-ingestion' ORDER BY seq")
    assert await api.correlate(*batch) == first
    assert query("SELECT * FROM incidents.timeline WHERE actor = 'alert-ingestion' ORDER BY seq") == before
    incident = await api.show(first[0]["incident_id"])
    assert (incident.alert_count, incident.firing_count) == (2, 2)


async def test_an_alert_reported_twice_in_one_batch_counts_once(api: Api) -> None:
    twice = alert(dedup_key="k")
    first, second = await api.correlate(twice, twice | {"version": 2, "occurrences": 2})
    assert first["incident_id"] == second["incident_id"]
    incident = await api.show(first["incident_id"])
    assert incident.alert_count == 1
    assert incident.alerts[0].occurrences == 2


async def test_an_empty_batch_has_no_results(api: Api) -> None:
    assert await api.correlate() == []


async def test_a_repeat_stays_with_its_incident_long_after_the_window(api: Api) -> None:
    firing = alert(dedup_key="k")

    async def report(minutes: float, **change: object) -> tuple[str, str]:
        api.set_clock(NOON + timedelta(minutes=minutes))
        [result] = await api.correlate(firing | change)
        return result["action"], result["incident_id"]

    action, incident_id = await report(0)
    assert action == "new_incident"
    assert await report(90, version=2, occurrences=2) == ("repeated", incident_id)
    shown = await api.show(incident_id)
    api.set_clock(shown.created_at + timedelta(minutes=5, seconds=1))
    [new] = await api.correlate(alert())
    assert new["action"] == "new_incident"
    assert new["incident_id"] != incident_id
    assert shown.alerts[0].occurrences == 2
    assert shown.alert_count == 1


async def test_the_window_is_a_setting(start_replica: StartReplica) -> None:
    api = await start_replica(correlation_window_minutes=60)
    api.set_clock(NOON)
    [opened] = await api.correlate(alert())
    api.set_clock(NOON + timedelta(minutes=59))
    [joined] = await api.correlate(alert())
    assert joined["incident_id"] == opened["incident_id"]


async def test_an_alert_joins_an_incident_opened_by_hand(api: Api) -> None:
    incident = await api.open()
    [joined] = await api.correlate(alert())
    assert joined["incident_id"] == str(incident.id)
    assert joined["action"] == "attached_to_existing_incident"


async def test_an_alert_joins_the_unresolved_incident_though_a_newer_one_is_resolved(api: Api) -> None:
    [opened] = await api.correlate(alert())
    newer = await api.open()
    await api.change(newer.id, status="resolved")
    [joined] = await api.correlate(alert())
    assert joined["incident_id"] == opened["incident_id"]


async def test_an_alert_joins_no_incident_whose_severity_a_person_changed(api: Api) -> None:
    [opened] = await api.correlate(alert())
    await api.change(opened["incident_id"], severity="critical")
    [second] = await api.correlate(alert())
    assert second["action"] == "new_incident"
    [raised] = await api.correlate(alert(severity="critical"))
    assert raised["incident_id"] == opened["incident_id"]


async def test_an_incident_is_resolved_automatically_when_its_last_alert_recovers(api: Api, oncall: FakeOnCall) -> None:
    one, two = alert(dedup_key="a"), alert(dedup_key="b")
    incident_id = (await api.correlate(one, two))[0]["incident_id"]
    [first] = await api.correlate(one | {"version": 2, "status": "resolved"})
    assert (first["incident_id"], first["action"], first["joined"]) == (incident_id, "resolved", "new_incident")
    halfway = await api.show(incident_id)
    assert (halfway.status, halfway.firing_count) == ("open", 1)
    assert halfway.alerts[-1].status == "resolved"
    await api.correlate(two | {"version": 2, "status": "resolved"})
    incident = await api.show(incident_id)
    assert incident.status == "resolved"
    assert incident.mtta_seconds == incident.mttr_seconds
    assert incident.mttr_seconds is not None
    [resolved] = [entry for entry in incident.timeline if entry.event_type is EventType.RESOLVED]
    assert resolved.actor == "auto-resolve"
    assert resolved.detail == "Resolved automatically: each of its alerts has been resolved by its sender."
    assert incident.version == 2
    await eventually(lambda: oncall.count("stop", incident.id) == 1)
    assert (oncall.stops[0][1].reason, oncall.stops[0][1].actor) == ("resolved", "auto-resolve")
    assert oncall.calls[0] == ("start", incident.id), "a key's messages keep their order"


async def test_an_alert_without_a_key_blocks_auto_resolve(api: Api) -> None:
    keyed = alert(dedup_key="a")
    incident_id = (await api.correlate(keyed, alert()))[0]["incident_id"]
    await api.correlate(keyed | {"version": 2, "status": "resolved"})
    incident = await api.show(incident_id)
    assert (incident.status, incident.firing_count) == ("open", 1)


async def test_no_incident_is_resolved_automatically_where_that_is_switched_off(start_replica: StartReplica) -> None:
    api = await start_replica(auto_resolve=False)
    keyed = alert(dedup_key="a")
    [opened] = await api.correlate(keyed)
    await api.correlate(keyed | {"version": 2, "status": "resolved"})
    incident = await api.show(opened["incident_id"])
    assert (incident.status, incident.firing_count) == ("open", 0)


async def test_an_alert_whose_incident_a_person_resolved_moves_to_a_new_one_with_its_next_repeat(
    api: Api, oncall: FakeOnCall
) -> None:
    keyed = alert(dedup_key="a")
    [opened] = await api.correlate(keyed)
    await api.change(opened["incident_id"], status="resolved", actor="dele")
    [moved] = await api.correlate(keyed | {"version": 2, "occurrences": 2})
    assert moved["action"] == "new_incident"
    assert moved["incident_id"] != opened["incident_id"]
    old, new = await api.show(opened["incident_id"]), await api.show(moved["incident_id"])
    assert (old.status, old.alert_count, old.firing_count) == ("resolved", 0, 0)
    assert EventType.ALERT_MOVED in events(old)
    assert (new.status, new.alert_count, new.firing_count) == ("open", 1, 1)
    created = next(entry for entry in new.timeline if entry.event_type is EventType.CREATED)
    assert created.detail == f"Opened by 1 alert from alertmanager: still firing after #{old.number} was resolved."
    await eventually(lambda: oncall.count("start", new.id) == 1)
    [again] = await api.correlate(keyed | {"version": 2, "occurrences": 2})
    assert again == moved
    [repeated] = await api.correlate(keyed | {"version": 3, "occurrences": 3})
    assert (repeated["incident_id"], repeated["action"]) == (moved["incident_id"], "repeated")


async def test_an_alert_that_moved_is_still_listed_on_the_incident_that_it_left(api: Api) -> None:
    keyed = alert(dedup_key="a")
    [opened] = await api.correlate(keyed)
    assert (await api.show(opened["incident_id"])).moved_alerts == []
    await api.change(opened["incident_id"], status="resolved", actor="dele")
    [moved] = await api.correlate(keyed | {"version": 2, "occurrences": 2, "message": "still broken"})
    old, new = await api.show(opened["incident_id"]), await api.show(moved["incident_id"])
    assert (old.alerts, old.alerts_total) == ([], 0)
    [evidence] = old.moved_alerts
    assert (str(evidence.alert_id), evidence.moved_to_id, evidence.moved_to_number) == (
        keyed["alert_id"],
        new.id,
        new.number,
    )
    assert (evidence.message, evidence.occurrences, evidence.status) == (keyed["message"], 1, "firing")
    assert evidence.attached_at <= evidence.moved_at
    assert (new.alerts[0].message, new.moved_alerts) == ("still broken", [])
    await api.correlate(keyed | {"version": 3, "occurrences": 3})
    assert (await api.show(old.id)).moved_alerts == [evidence], "as it was when it moved"


async def test_a_resolve_without_a_fire_opens_nothing(api: Api) -> None:
    [result] = await api.correlate(alert(status="resolved", fired_at=None, dedup_key="a"))
    assert (result["incident_id"], result["action"]) == (None, "ignored")
    assert (await api.get("/api/v1/incidents")).body["items"] == []


async def test_an_alert_that_fired_and_recovered_before_it_was_reported_opens_a_resolved_incident_that_pages_nobody(
    api: Api, oncall: FakeOnCall
) -> None:
    [result] = await api.correlate(alert(status="resolved", dedup_key="a", version=2))
    assert result["action"] == "resolved"
    incident = await api.show(result["incident_id"])
    assert incident.status == "resolved"
    assert events(incident) == [EventType.CREATED, EventType.ALERT_RESOLVED, EventType.RESOLVED]
    other = await api.open(service="search")
    assert oncall.count("start", other.id) == 1
    assert oncall.count("start", incident.id) == 0


async def test_two_replicas_and_a_hundred_simultaneous_identical_alerts_make_one_incident(
    start_replica: StartReplica, oncall: FakeOnCall
) -> None:
    replicas = [await start_replica(), await start_replica()]
    results = await asyncio.gather(*(replicas[number % 2].correlate(alert()) for number in range(100)))
    ids = {result["incident_id"] for [result] in results}
    assert len(ids) == 1
    actions = [result["action"] for [result] in results]
    assert actions.count("new_incident") == 1
    incident = await replicas[0].show(ids.pop())
    assert (incident.alert_count, incident.firing_count) == (100, 100)
    await eventually(lambda: oncall.count("start", incident.id) == 1)


async def test_one_alert_sent_to_two_replicas_at_once_is_linked_once(start_replica: StartReplica, query: Query) -> None:
    replicas = [await start_replica(), await start_replica()]
    same = [alert(new_id()) for _ in range(50)]
    batches = await asyncio.gather(*(replica.correlate(*same) for replica in replicas for _ in range(5)))
    assert all(results == batches[0] for results in batches)
    incident = await replicas[0].show(batches[0][0]["incident_id"])
    assert incident.alert_count == 50
    assert query("SELECT count(*) FROM incidents.incident_alert") == [{"count": 50}]
    assert query("SELECT count(*) FROM incidents.incident") == [{"count": 1}]
