"""Races: a second connection holds the lock that the requests wait for."""

import asyncio
from collections.abc import Awaitable

import pytest
from psycopg2.extensions import connection

from tests.fakes.oncall import FakeOnCall
from tests.incidents.conftest import Query, StartReplica
from tests.support.incidents.api import Answer, Api, alert
from tests.support.waiting import eventually
from tocsin.contracts.incidents import EventType


class Gate:
    """Locks an incident's row and queues requests behind it in a chosen order."""

    def __init__(self, holder: connection, query: Query) -> None:
        self._holder = holder
        self._query = query
        self._waiting: list[asyncio.Future[Answer]] = []

    def hold(self, incident_id: str) -> None:
        with self._holder.cursor() as cursor:
            cursor.execute("SELECT FROM incidents.incident WHERE id = %s FOR UPDATE", [incident_id])

    async def queue(self, request: Awaitable[Answer]) -> None:
        """Start a request and wait until it is blocked on the lock."""
        self._waiting.append(asyncio.ensure_future(request))
        await eventually(lambda: self._blocked() == len(self._waiting))

    async def open(self) -> list[Answer]:
        """Release the lock and return the responses, in the order of the requests."""
        self._holder.rollback()
        return await asyncio.gather(*self._waiting)

    def _blocked(self) -> int:
        [row] = self._query(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
            "AND application_name = 'tocsin-incidents' AND datname = current_database()"
        )
        return int(row["count"])


@pytest.fixture
def gate(second_connection: connection, query: Query) -> Gate:
    return Gate(second_connection, query)


def patch(api: Api, incident_id: object, **given: str) -> Awaitable[Answer]:
    return api.ask("PATCH", f"/api/v1/incidents/{incident_id}", given)


def correlate(api: Api, state: dict[str, object]) -> Awaitable[Answer]:
    return api.ask("POST", "/api/v1/incidents/correlate", {"alerts": [state]})


async def opened_by(api: Api, state: dict[str, object]) -> str:
    """Open an incident by an alert and wait for on-call's confirmation, which needs the lock too."""
    incident_id = str((await api.correlate(state))[0]["incident_id"])

    async def assigned() -> bool:
        return (await api.show(incident_id)).assigned_to is not None

    await eventually(assigned)
    return incident_id


async def test_an_alert_ahead_of_the_resolve_joins_the_resolved_incident(
    start_replica: StartReplica, gate: Gate
) -> None:
    one, other = await start_replica(), await start_replica()
    incident_id = await opened_by(one, alert())
    gate.hold(incident_id)
    await gate.queue(correlate(one, alert()))
    await gate.queue(patch(other, incident_id, status="resolved"))
    state, resolved = await gate.open()
    assert state.body["results"][0]["incident_id"] == incident_id
    assert resolved.body["status"] == "resolved"
    entries = [entry["event_type"] for entry in resolved.body["timeline"]]
    assert entries.index("resolved") < entries.index("alert_attached"), "newest first: attached, then resolved"


async def test_an_alert_behind_the_resolve_opens_a_new_incident(start_replica: StartReplica, gate: Gate) -> None:
    one, other = await start_replica(), await start_replica()
    incident_id = await opened_by(one, alert())
    gate.hold(incident_id)
    await gate.queue(patch(other, incident_id, status="resolved"))
    await gate.queue(correlate(one, alert()))
    resolved, state = await gate.open()
    assert resolved.status == 200
    assert state.body["results"][0]["action"] == "new_incident"
    assert (await one.show(incident_id)).alert_count == 1
    assert (await one.show(state.body["results"][0]["incident_id"])).status == "open"


async def test_a_repeat_behind_the_resolve_moves_to_a_new_incident(api: Api, gate: Gate) -> None:
    keyed = alert(dedup_key="k")
    incident_id = await opened_by(api, keyed)
    gate.hold(incident_id)
    await gate.queue(patch(api, incident_id, status="resolved"))
    await gate.queue(correlate(api, keyed | {"version": 2, "occurrences": 2}))
    _, state = await gate.open()
    assert state.body["results"][0]["action"] == "new_incident"
    assert EventType.ALERT_MOVED in [entry.event_type for entry in (await api.show(incident_id)).timeline]


async def test_a_last_recovery_and_a_new_alert_leave_no_firing_alert_on_a_resolved_incident(
    api: Api, gate: Gate
) -> None:
    keyed = alert(dedup_key="k")
    incident_id = await opened_by(api, keyed)
    gate.hold(incident_id)
    await gate.queue(correlate(api, keyed | {"version": 2, "status": "resolved"}))
    await gate.queue(correlate(api, alert()))
    recovered, state = await gate.open()
    assert recovered.body["results"][0]["action"] == "resolved"
    home = await api.show(state.body["results"][0]["incident_id"])
    assert (home.status, home.firing_count) == ("open", 1)
    assert str(home.id) != incident_id
    assert (await api.show(incident_id)).status == "resolved"


async def test_two_acknowledgements_at_once_are_one(
    start_replica: StartReplica, gate: Gate, oncall: FakeOnCall
) -> None:
    one, other = await start_replica(), await start_replica()
    incident = await one.open()
    gate.hold(str(incident.id))
    await gate.queue(patch(one, incident.id, status="acknowledged", actor="priya"))
    await gate.queue(patch(other, incident.id, status="acknowledged", actor="carol"))
    first, second = await gate.open()
    assert (first.status, second.status) == (200, 200)
    assert first.body["acknowledged_at"] == second.body["acknowledged_at"]
    entries = [(entry["event_type"], entry["actor"]) for entry in second.body["timeline"]]
    assert entries.count(("acknowledged", "priya")) == 1
    assert ("acknowledged", "carol") not in entries
    await eventually(lambda: oncall.count("stop", incident.id) == 1)
    measured = [await replica.metric("incident_mtta_seconds_count") for replica in (one, other)]
    assert measured == [1, 0]


async def test_an_acknowledgement_behind_a_resolve_is_a_conflict(api: Api, gate: Gate) -> None:
    incident = await api.open()
    gate.hold(str(incident.id))
    await gate.queue(patch(api, incident.id, status="resolved"))
    await gate.queue(patch(api, incident.id, status="acknowledged"))
    resolved, acknowledged = await gate.open()
    assert (resolved.status, acknowledged.status) == (200, 409)


async def test_a_resolve_behind_an_acknowledgement_keeps_its_times_in_order(api: Api, gate: Gate) -> None:
    incident = await api.open()
    gate.hold(str(incident.id))
    await gate.queue(patch(api, incident.id, status="acknowledged"))
    await gate.queue(patch(api, incident.id, status="resolved"))
    acknowledged, resolved = await gate.open()
    assert (acknowledged.status, resolved.status) == (200, 200)
    shown = await api.show(incident.id)
    assert shown.mtta_seconds is not None
    assert shown.mttr_seconds is not None
    assert 0 < shown.mtta_seconds <= shown.mttr_seconds


async def test_of_two_changes_of_one_version_one_is_refused(start_replica: StartReplica, gate: Gate) -> None:
    one, other = await start_replica(), await start_replica()
    incident = await one.open()
    path = f"/api/v1/incidents/{incident.id}"
    gate.hold(str(incident.id))
    await gate.queue(one.ask("PATCH", path, {"assigned_to": "Bob"}, If_Match='"1"'))
    await gate.queue(other.ask("PATCH", path, {"assigned_to": "Eve"}, If_Match='"1"'))
    first, second = await gate.open()
    assert (first.status, second.status) == (200, 412)
    assert (await one.show(incident.id)).assigned_to == "Bob"


async def test_one_idempotency_key_at_two_replicas_at_once_opens_one_incident(
    start_replica: StartReplica, query: Query
) -> None:
    replicas = [await start_replica(), await start_replica()]
    body = {"title": "Disk full", "service": "db", "severity": "low"}
    answers = await asyncio.gather(
        *(replicas[number % 2].ask("POST", "/api/v1/incidents", body, Idempotency_Key="k") for number in range(10))
    )
    assert {answer.status for answer in answers} == {201}
    assert len({answer.body["id"] for answer in answers}) == 1
    assert query("SELECT count(*) FROM incidents.incident") == [{"count": 1}]


async def test_a_lock_timeout_is_a_503_with_retry_after(start_replica: StartReplica, gate: Gate) -> None:
    api = await start_replica(db_lock_timeout_seconds=0.2)
    incident = await api.open()
    gate.hold(str(incident.id))
    refused = await patch(api, incident.id, status="acknowledged")
    assert refused.status == 503
    assert refused.headers["Retry-After"] == "1"
    assert (await api.show(incident.id)).status == "open", "reading does not wait"
    elsewhere = await api.open(service="search")
    assert (await patch(api, elsewhere.id, status="acknowledged")).status == 200
    await gate.open()
    assert (await patch(api, incident.id, status="acknowledged")).status == 200


@pytest.mark.parametrize("held", ["correlation_key", "incident"])
async def test_one_locked_key_delays_no_other(
    start_replica: StartReplica, second_connection: connection, query: Query, held: str
) -> None:
    api = await start_replica(correlate_lock_seconds=0.2)
    stuck, free = alert(service="stuck"), alert(service="free")
    first = {state["alert_id"]: state["incident_id"] for state in await api.correlate(stuck, free)}
    # Until then a delivery of the outbox may lock an incident for a moment.
    await eventually(lambda: not query("SELECT id FROM incidents.incident WHERE escalation_confirmed_at IS NULL"))
    with second_connection.cursor() as cursor:
        cursor.execute(f"SELECT FROM incidents.{held} WHERE service = 'stuck' FOR UPDATE")
    again = [alert(service=service) for service in ("stuck", "free", "new")]
    attached, opened = await api.correlate(*again)
    assert (attached["alert_id"], attached["incident_id"]) == (again[1]["alert_id"], first[free["alert_id"]])
    assert (opened["alert_id"], opened["action"]) == (again[2]["alert_id"], "new_incident")
    assert await api.correlate(again[0]) == []
    second_connection.rollback()
    state = await api.correlate(*again)
    assert state == [{**state[0], "incident_id": first[stuck["alert_id"]]}, attached, opened]


@pytest.mark.parametrize("kind", ["raise", "execute_then_raise"])
@pytest.mark.parametrize("point", ["incidents.correlate", "incidents.open", "incidents.change", "incidents.report"])
async def test_a_request_that_fails_before_or_after_its_commit_is_retried_without_a_second_effect(
    api: Api, query: Query, monkeypatch: pytest.MonkeyPatch, point: str, kind: str
) -> None:
    monkeypatch.setenv("FAILPOINT", f"{point}:{kind}")
    body = {"title": "Disk full", "service": "db", "severity": "low"}
    state = alert(service="db", severity="low")

    async def insist(method: str, path: str, given: object, key: str) -> Answer:
        answers = [await api.ask(method, path, given, Idempotency_Key=key) for _ in range(2)]
        assert answers[0].status in {200, 201, 503}
        assert answers[1].status in {200, 201}
        return answers[1]

    incident = (await insist("POST", "/api/v1/incidents", body, "open")).body
    path = f"/api/v1/incidents/{incident['id']}"
    [result] = (await insist("POST", "/api/v1/incidents/correlate", {"alerts": [state]}, "correlate")).body["results"]
    assert (result["incident_id"], result["action"]) == (incident["id"], "attached_to_existing_incident")
    await insist("PATCH", path, {"status": "acknowledged", "notes": "seen"}, "change")
    report = {"event_key": "e", "event_type": "paged", "actor": "oncall-service", "detail": "Paged."}
    await insist("POST", f"{path}/timeline", report, "report")
    shown = await api.show(incident["id"])
    entries = sorted(entry.event_type for entry in shown.timeline if entry.event_type is not EventType.ASSIGNED)
    assert entries == ["acknowledged", "alert_attached", "created", "note_added", "paged"]
    assert len(shown.notes) == 1
    assert shown.alert_count == 1
    assert query("SELECT count(*) FROM incidents.incident") == [{"count": 1}]
