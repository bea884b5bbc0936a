import asyncio
from typing import Any
from uuid import UUID

from tests.alerts.conftest import Start
from tests.fakes.incidents import FakeIncidents
from tests.support.alerts.api import ALERTS, Service


async def test_an_alert_is_stored_and_correlated_and_the_response_names_its_incident(
    service: Service, incidents: FakeIncidents
) -> None:
    answer = await service.send(labels={"region": "eu"}, source="probe", timestamp="2026-01-01T12:00:00+02:00")
    assert answer["status"] == "correlated"
    assert answer["action"] == "new_incident"
    (state,) = incidents.received
    assert state.alert_id == UUID(answer["alert_id"])
    assert (state.service, state.severity, state.message) == ("checkout", "high", "Card payments fail")
    assert (state.version, state.occurrences, state.labels, state.source) == (1, 1, {"region": "eu"}, "probe")
    stored = await service.alert(answer["alert_id"])
    assert stored["incident_id"] == answer["incident_id"]
    assert stored["action"] == "new_incident"
    assert stored["fired_at"] == "2026-01-01T10:00:00Z"
    assert stored["status"] == "firing"


async def test_a_second_alert_of_the_same_kind_joins_the_incident(service: Service) -> None:
    first = await service.send()
    second = await service.send()
    assert second["action"] == "attached_to_existing_incident"
    assert second["incident_id"] == first["incident_id"]
    assert second["alert_id"] != first["alert_id"]


async def test_an_alert_has_its_raw_request(service: Service) -> None:
    body = b'{"service":"a","severity":"low","message":"caf\xc3\xa9\\u0000", "extra": [1, {"deep": null}]}'
    answer = await service.post(ALERTS, body, expect=201)
    stored = await service.alert(answer["alert_id"])
    assert stored["request"]["body"] == body.decode()
    assert stored["request"]["content_type"] == "application/json"
    assert stored["request"]["receiver"] == stored["receiver"] == "generic"
    assert stored["message"] == "café\N{REPLACEMENT CHARACTER}"


async def test_every_field_of_an_alert_is_stored_unchanged(service: Service) -> None:
    link = {"href": "https://runbooks.example/checkout", "text": "Runbook"}
    said: dict[str, Any] = {
        "service": "checkout ✓",
        "severity": "critical",
        "message": 'tab\tquote" backslash\\ newline\n percent % emoji 🔥 bell\a',
        "labels": {"päth": "C:\\temp", "": "", "quote'": '"'},
        "source": "probe",
        "dedup_key": "k'\"\\%s",
        "links": [link],
    }
    answer = await service.send(**said)
    stored = await service.alert(answer["alert_id"])
    assert {name: stored[name] for name in said} == said
    assert stored["remark"] is None
    assert stored["occurrences"] == 1


async def test_the_earliest_and_latest_timestamps_are_stored(service: Service) -> None:
    first = await service.send(timestamp="0001-01-01T00:00:00Z")
    last = await service.send(timestamp="9999-12-31T23:59:59Z")
    assert (await service.alert(first["alert_id"]))["fired_at"] == "0001-01-01T00:00:00Z"
    assert (await service.alert(last["alert_id"]))["fired_at"] == "9999-12-31T23:59:59Z"


async def test_a_repeat_of_an_open_key_updates_its_alert_and_keeps_its_incident(
    service: Service, incidents: FakeIncidents
) -> None:
    first = await service.send(dedup_key="disk", labels={"used": "91 %"})
    second = await service.send(dedup_key="disk", labels={"used": "97 %"})
    assert second == {**first, "action": "repeated"}
    stored = await service.alert(first["alert_id"])
    assert stored["occurrences"] == 2
    assert stored["labels"] == {"used": "97 %"}
    assert stored["last_seen_at"] > stored["created_at"]
    assert '"97 %"' in stored["request"]["body"]
    assert [(state.version, state.occurrences) for state in incidents.received] == [(1, 1), (2, 2)]
    assert stored["action"] == "new_incident"


async def test_a_resolve_ends_the_open_alert_of_its_key_and_the_next_fire_is_a_new_one(
    service: Service, incidents: FakeIncidents
) -> None:
    first = await service.send(dedup_key="disk")
    resolved = await service.send(dedup_key="disk", status="resolved")
    assert resolved == {**first, "action": "resolved"}
    assert incidents.received[-1].status == "resolved"
    stored = await service.alert(first["alert_id"])
    assert stored["status"] == "resolved"
    assert stored["resolved_at"] is not None
    assert service.rows("SELECT alert_id FROM alerts.open_alert") == []
    again = await service.send(dedup_key="disk")
    assert again["alert_id"] != first["alert_id"]


async def test_a_resolve_without_an_open_alert_is_stored_and_not_forwarded(
    service: Service, incidents: FakeIncidents
) -> None:
    for key in ("disk", None):
        answer = await service.send(dedup_key=key, status="resolved")
        assert answer["action"] == "ignored"
        assert answer["status"] == "correlated"
        assert answer["incident_id"] is None
        stored = await service.alert(answer["alert_id"])
        assert (stored["status"], stored["action"]) == ("resolved", "ignored")
    assert incidents.received == []


async def test_a_resolve_that_ended_before_the_open_alert_began_is_ignored(service: Service) -> None:
    open_alert = await service.send(dedup_key="disk", timestamp="2026-05-01T12:00:00Z")
    late = await service.send(dedup_key="disk", status="resolved", timestamp="2026-05-01T11:59:59Z")
    assert late["action"] == "ignored"
    assert (await service.alert(open_alert["alert_id"]))["status"] == "firing"
    right = await service.send(dedup_key="disk", status="resolved", timestamp="2026-05-01T12:00:00Z")
    assert right["action"] == "resolved"


async def test_alerts_of_two_services_with_the_same_key_are_independent(service: Service) -> None:
    orders = await service.send(service="orders-db", dedup_key="disk-full")
    mail = await service.send(service="mail-relay", dedup_key="disk-full")
    assert (mail["action"], mail["alert_id"] == orders["alert_id"]) == ("new_incident", False)
    resolved = await service.send(service="mail-relay", dedup_key="disk-full", status="resolved")
    assert (resolved["action"], resolved["alert_id"]) == ("resolved", mail["alert_id"])
    assert (await service.alert(orders["alert_id"]))["status"] == "firing"


async def test_a_repeat_after_a_person_resolved_the_incident_moves_the_alert_to_a_new_one(
    service: Service, incidents: FakeIncidents
) -> None:
    first = await service.send(dedup_key="disk")
    incidents.resolve(UUID(first["incident_id"]))
    again = await service.send(dedup_key="disk")
    assert again["alert_id"] == first["alert_id"]
    assert again["action"] == "new_incident"
    assert again["incident_id"] != first["incident_id"]
    assert (await service.alert(first["alert_id"]))["incident_id"] == again["incident_id"]
    assert await service.found(incident_id=first["incident_id"]) == []


async def test_simultaneous_alerts_each_get_their_own_result(service: Service, incidents: FakeIncidents) -> None:
    answers = await asyncio.gather(*(service.send(message=f"number {number}") for number in range(50)))
    assert len({answer["alert_id"] for answer in answers}) == 50
    assert len({answer["incident_id"] for answer in answers}) == 1
    assert [answer["action"] for answer in answers].count("new_incident") == 1
    for number, answer in enumerate(answers):
        stored = await service.alert(answer["alert_id"])
        assert stored["message"] == f"number {number}"
        assert stored["request"]["id"] == stored["id"]
    assert len(incidents.batches) < 50


async def test_a_hundred_identical_alerts_at_two_replicas_are_one(start: Start, incidents: FakeIncidents) -> None:
    replicas = [await start(), await start()]
    answers = await asyncio.gather(*(replicas[number % 2].send(dedup_key="disk") for number in range(100)))
    assert len({answer["alert_id"] for answer in answers}) == 1
    assert len({answer["incident_id"] for answer in answers}) == 1
    assert sorted(answer["action"] for answer in answers) == ["new_incident"] + ["repeated"] * 99
    (stored,) = await replicas[0].found()
    assert stored["occurrences"] == 100
    assert len(incidents.known) == 1
    assert max(state.occurrences for state in incidents.received) == 100


async def test_the_id_of_a_request_follows_it_to_incident_management(
    service: Service, incidents: FakeIncidents
) -> None:
    response = await service.client.post(
        ALERTS, json={"service": "a", "severity": "low", "message": "m"}, headers={"X-Request-ID": "abc-123"}
    )
    assert response.headers["X-Request-ID"] == "abc-123"
    assert incidents.request_ids == ["abc-123"]
