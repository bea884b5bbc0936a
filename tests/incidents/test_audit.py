"""What people do to incidents is in the audit, once, whatever fails on the way."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.audit import BEARER, PRIYA, FakeAudit, closed_mode, on_behalf
from tests.incidents.conftest import Query, StartReplica
from tests.support.incidents.api import Api
from tests.support.waiting import eventually

OPENED = {"title": "Checkout answers 5xx", "service": "checkout", "severity": "high"}
WAITING = "SELECT id FROM incidents.audit_queue"


@pytest.fixture
async def audit() -> AsyncIterator[FakeAudit]:
    async with FakeAudit().serving() as peer:
        yield peer


@pytest.fixture
async def closed(start_replica: StartReplica, tmp_path: Path, audit: FakeAudit) -> Api:
    return await start_replica(**closed_mode(tmp_path, "incidents", audit))


async def opened(closed: Api, tmp_path: Path, **given: Any) -> Any:
    answer = await closed.ask("POST", "/api/v1/incidents", OPENED | given, **on_behalf(tmp_path, "incidents"))
    assert answer.status == 201, answer.body
    return answer.body


async def change(closed: Api, incident: Any, body: dict[str, Any], *, status: int = 200) -> None:
    answer = await closed.ask("PATCH", f"/api/v1/incidents/{incident['id']}", body, **BEARER)
    assert answer.status == status, answer.body


async def metrics_of(replica: Api) -> str:
    async with replica.client.get("/metrics", headers=BEARER) as response:
        return await response.text()


async def test_each_change_has_an_entry_with_who_what_and_from_where(
    closed: Api, audit: FakeAudit, tmp_path: Path, query: Query
) -> None:
    incident = await opened(closed, tmp_path, title="Checkout is down")
    await change(closed, incident, {"status": "acknowledged", "severity": "critical", "actor": "The CEO"})
    await change(closed, incident, {"status": "acknowledged"})  # a no-op
    await change(closed, incident, {"notes": "the password is hunter2"})
    await change(closed, incident, {"status": "in_progress", "title": "Checkout is slow", "assigned_to": "Marco"})
    await change(closed, incident, {"status": "resolved"})
    await change(closed, incident, {"status": "acknowledged"}, status=409)
    await eventually(lambda: len(audit.entries) == 8)
    first, last = f"#{incident['number']} Checkout is down", f"#{incident['number']} Checkout is slow"
    told = audit.told()
    note = told.pop(3)
    assert told == [
        ("incident.open", first, None, {"title": "Checkout is down", "service": "checkout", "severity": "high"}),
        ("incident.change", first, {"severity": "high"}, {"severity": "critical"}),
        ("incident.acknowledge", first, {"status": "open"}, {"status": "acknowledged"}),
        ("incident.change", last, {"title": "Checkout is down"}, {"title": "Checkout is slow"}),
        ("incident.change", last, told[4][2], {"assigned_to": "Marco"}),
        ("incident.start", last, {"status": "acknowledged"}, {"status": "in_progress"}),
        ("incident.resolve", last, {"status": "in_progress"}, {"status": "resolved"}),
    ]
    assert (note[0], list(note[3] or {})) == ("incident.note", ["note_id"])
    for entry in audit.entries.values():
        assert (entry.principal.name, entry.principal.account_id) == (PRIYA.name, PRIYA.id)
        assert (entry.credential_id, entry.address) == (PRIYA.credential_id, "127.0.0.1")
        assert (entry.service, entry.object.id) == ("incident-management", incident["id"])
        assert len(entry.request_id) > 10
    assert "hunter2" not in str(audit.entries)
    await eventually(lambda: query(WAITING) == [])


async def test_a_retried_change_has_one_entry_and_a_rolled_back_one_none(
    closed: Api, audit: FakeAudit, tmp_path: Path, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = await opened(closed, tmp_path)
    path, body = f"/api/v1/incidents/{incident['id']}", {"notes": "once"}
    monkeypatch.setenv("FAILPOINT", "incidents.change:execute_then_raise")
    statuses = [
        (await closed.ask("PATCH", path, body, **BEARER, Idempotency_Key="k")).status for _ in range(3)
    ]  # fmt: skip
    assert statuses == [503, 200, 200]
    monkeypatch.setenv("FAILPOINT", "incidents.change:raise")
    answer = await closed.ask("PATCH", path, {"status": "resolved"}, **BEARER)
    assert answer.status == 503
    query("ALTER TABLE incidents.timeline ADD CONSTRAINT broken CHECK (event_type <> 'resolved')")
    answer = await closed.ask("PATCH", path, {"status": "resolved"}, **BEARER)
    assert answer.status == 500  # after other statements of the transaction
    await change(closed, incident, {"notes": "last"})
    await eventually(lambda: len(audit.entries) == 3)
    assert [told[0] for told in audit.told()] == ["incident.open", "incident.note", "incident.note"]


async def test_entries_wait_while_the_web_service_is_away_and_arrive_once(
    start_replica: StartReplica, tmp_path: Path, audit: FakeAudit, query: Query
) -> None:
    settings = closed_mode(tmp_path, "incidents", audit)
    one, other = await start_replica(**settings), await start_replica(**settings)
    incident = await opened(one, tmp_path)
    for replica in (one, other):
        await change(replica, incident, {"notes": "this replica knows the token"})
    await eventually(lambda: len(audit.entries) == 3)
    await audit.stop()
    for number in range(150):
        await change(one if number % 2 else other, incident, {"notes": f"note {number}"})
    assert len(query(WAITING)) == 150
    assert query("SELECT id FROM incidents.outbox WHERE done_at IS NULL AND parked_at IS NULL") == []
    assert "tocsin_outbox_parked_rows 0.0" in (metrics := await metrics_of(one))
    assert "tocsin_audit_oldest_seconds" in metrics
    audit.statuses.extend([503, 404, 422, 403])  # also a release without the audit
    await audit.start()
    await eventually(lambda: len(audit.entries) == 153)
    await eventually(lambda: query(WAITING) == [])


async def test_what_services_do_on_their_own_is_not_recorded(
    closed: Api, audit: FakeAudit, tmp_path: Path, query: Query
) -> None:
    headers = on_behalf(tmp_path, "incidents", None)
    answer = await closed.ask("POST", "/api/v1/incidents", OPENED, **headers)
    assert answer.status == 201
    assert query(WAITING) == []
    assert audit.entries == {}


async def test_nothing_is_recorded_in_open_mode(api: Api, query: Query) -> None:
    incident = await api.open()
    await api.ask("PATCH", f"/api/v1/incidents/{incident.id}", {"status": "acknowledged"}, X_Actor="Priya")
    assert query(WAITING) == []
