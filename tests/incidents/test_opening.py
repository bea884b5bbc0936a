from itertools import product
from uuid import UUID

from tests.fakes.oncall import FakeOnCall
from tests.incidents.conftest import StartReplica
from tests.support.incidents.api import Api
from tests.support.waiting import eventually


async def test_an_incident_opened_by_hand_is_open_numbered_and_assigned_to_who_is_on_call(
    api: Api, oncall: FakeOnCall
) -> None:
    body = {"title": "Checkout answers 5xx", "service": "checkout", "severity": "high", "description": "since 10:00"}
    answer = await api.ask("POST", "/api/v1/incidents", body, X_Actor="dele", X_Request_ID="req-1")
    assert answer.status == 201
    incident = answer.body
    assert answer.headers["Location"] == f"/api/v1/incidents/{incident['id']}"
    assert answer.headers["ETag"] == '"1"'
    assert UUID(incident["id"]).version == 7
    assert {name: incident[name] for name in body} == body
    assert incident["status"] == "open"
    assert incident["number"] == 1
    assert incident["assigned_to"] == "Alice"
    assert incident["team"] == "platform"
    assert incident["mtta_seconds"] is incident["mttr_seconds"] is incident["acknowledged_at"] is None
    assert [(entry["event_type"], entry["actor"]) for entry in incident["timeline"]] == [
        ("assigned", "oncall-service"),
        ("created", "dele"),
    ]
    [start] = oncall.starts
    assert (str(start.incident_id), start.number, start.title) == (incident["id"], 1, "Checkout answers 5xx")
    assert oncall.request_ids == ["req-1"]
    assert UUID(oncall.keys[0]).version == 7


async def test_an_assignee_that_a_person_chose_stays_assigned(api: Api, oncall: FakeOnCall) -> None:
    incident = await api.open(assigned_to="Bob")
    assert incident.assigned_to == "Bob"
    assert incident.team == "platform"
    assert oncall.count("start", incident.id) == 1


async def test_an_incident_opens_while_on_call_is_down_and_is_assigned_when_it_is_up(
    start_replica: StartReplica, oncall: FakeOnCall
) -> None:
    api = await start_replica(assign_seconds=0.1)
    oncall.status = 503
    incident = await api.open()
    assert incident.assigned_to is None
    await eventually(lambda: oncall.count("start", incident.id) >= 2)
    oncall.status = None

    async def assigned() -> bool:
        return (await api.show(incident.id)).assigned_to == "Alice"

    await eventually(assigned)
    assert len(set(oncall.keys)) == 1, "each attempt carries the same idempotency key"


async def test_opening_an_incident_waits_for_on_call_only_up_to_its_limit(
    start_replica: StartReplica, oncall: FakeOnCall
) -> None:
    api = await start_replica(assign_seconds=0.1)
    oncall.hold()
    incident = await api.open()
    assert incident.assigned_to is None
    oncall.release()


async def test_the_same_idempotency_key_opens_one_incident(api: Api) -> None:
    body = {"title": "Disk full", "service": "db", "severity": "low"}
    first = await api.ask("POST", "/api/v1/incidents", body, Idempotency_Key="k1")
    again = await api.ask("POST", "/api/v1/incidents", body, Idempotency_Key="k1")
    assert (again.status, again.body["id"]) == (201, first.body["id"])
    assert (await api.get("/api/v1/incidents")).body["items"][1:] == []


async def test_the_same_idempotency_key_with_another_body_is_refused(api: Api) -> None:
    body = {"title": "Disk full", "service": "db", "severity": "low"}
    await api.ask("POST", "/api/v1/incidents", body, Idempotency_Key="k1")
    answer = await api.ask("POST", "/api/v1/incidents", body | {"title": "Disk fuller"}, Idempotency_Key="k1")
    assert answer.status == 422
    assert answer.body["errors"][0]["pointer"] == "Idempotency-Key"


async def test_an_incident_is_found_by_its_number(api: Api) -> None:
    incident = await api.open()
    assert (await api.show(incident.number)).id == incident.id
    assert (await api.change(incident.number, status="acknowledged")).id == incident.id


async def test_an_incident_that_does_not_exist_is_not_found(api: Api) -> None:
    references = ["00000000-0000-7000-8000-000000000000", "4711", "9" * 18, "9" * 19, "-", "abc"]
    for reference, suffix in product(references, ["", "/metrics", "/timeline"]):
        answer = await api.get(f"/api/v1/incidents/{reference}{suffix}")
        assert answer.status == 404, reference
        assert answer.headers["Content-Type"].startswith("application/problem+json")


async def test_changing_an_incident_that_does_not_exist_is_not_found(api: Api) -> None:
    unknown = "/api/v1/incidents/00000000-0000-7000-8000-000000000000"
    assert (await api.ask("PATCH", unknown, {"notes": "x"})).status == 404
    report = {"event_key": "k", "event_type": "paged", "actor": "oncall-service", "detail": "Paged."}
    assert (await api.ask("POST", f"{unknown}/timeline", report)).status == 404
