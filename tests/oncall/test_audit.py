"""What people change of schedules, people and teams is in the audit, without their contact addresses."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.audit import PRIYA, FakeAudit, closed_mode, on_behalf
from tests.oncall.conftest import OnCall, Replica, person, start_of
from tests.support.waiting import eventually
from tocsin.kernel.ids import new_id

HOOK = "https://hooks.example.com/T024/B0/s3cr3t-canary?key=canary-key"
WEBHOOK = {"channel": "webhook", "address": HOOK}
TEAM = {"team": "Payments", "rotation_type": "weekly", "time_zone": "UTC", "services": ["checkout"]}


@pytest.fixture
async def audit() -> AsyncIterator[FakeAudit]:
    async with FakeAudit().serving() as peer:
        yield peer


@pytest.fixture
async def closed(replica: Replica, tmp_path: Path, audit: FakeAudit) -> OnCall:
    return await replica(**closed_mode(tmp_path, "oncall", audit))


@pytest.fixture
def priya(closed: OnCall, tmp_path: Path) -> Mapping[str, str]:
    assert closed.dsn  # the service is there, and so are its keys
    return on_behalf(tmp_path, "oncall")


async def call(
    closed: OnCall, headers: Mapping[str, str], method: str, path: str, body: Any = None, *, status: int = 200
) -> Any:
    async with closed.client.request(method, path, json=body, headers=dict(headers)) as response:
        assert response.status == status, await response.text()
        return await response.json()


async def test_a_schedule_is_recorded_with_what_has_changed_and_without_addresses(
    closed: OnCall, audit: FakeAudit, priya: Mapping[str, str]
) -> None:
    first = {**TEAM, "members": [person("Ada", contacts=[WEBHOOK]), person("Bob")]}
    made = await call(closed, priya, "POST", "/api/v1/schedules", first, status=201)
    path, known = f"/api/v1/schedules/{made['id']}", {"start": made["start"], "handoff_time": made["handoff_time"]}
    moved = {"channel": "webhook", "address": f"{HOOK}&more=canary-more"}
    second = {**first, **known, "members": [person("Ada", contacts=[moved]), person("Bob", "secondary")]}
    await call(closed, priya, "PUT", path, second)
    await call(closed, priya, "PUT", path, second)  # a no-op
    await eventually(lambda: len(audit.entries) == 2)
    (created, changed) = audit.told()
    assert created[:3] == ("schedule.create", "Payments", None)
    assert created[3] is not None
    assert created[3]["members[0].contacts[0].address"] == "https://hooks.example.com/…"
    assert (created[3]["members[1].email"], created[3]["services"]) == ("b…@example.net", "checkout")
    assert changed == (
        "schedule.change",
        "Payments",
        {"members[0].contacts[0].address": "https://hooks.example.com/…", "members[1].role": "primary"},
        {
            "members[0].contacts[0].address": "https://hooks.example.com/… (another one)",
            "members[1].role": "secondary",
        },
    )
    assert "canary" not in str(audit.requests)


async def test_people_and_memberships_are_recorded(closed: OnCall, audit: FakeAudit, priya: Mapping[str, str]) -> None:
    members = {**TEAM, "members": [person("Ada")]}
    await call(closed, priya, "POST", "/api/v1/schedules", members, status=201)
    [team] = (await call(closed, priya, "GET", "/api/v1/teams"))["items"]
    bob = await call(closed, priya, "POST", "/api/v1/people", {"name": "Bob", "email": "bob@example.org"}, status=201)
    one = f"/api/v1/people/{bob['id']}"
    membership = f"/api/v1/teams/{team['id']}/people/{bob['id']}"
    await call(closed, priya, "PATCH", one, {"name": "Robert", "email": "robert@example.org"})
    for role in ("member", "manager", "manager"):  # the last one is a no-op
        await call(closed, priya, "PUT", membership, {"role": role})
    await call(closed, priya, "DELETE", membership)
    await call(closed, priya, "DELETE", membership, status=404)
    await call(closed, priya, "DELETE", one)
    await eventually(lambda: len(audit.entries) == 7)
    assert audit.told()[1:] == [
        ("person.create", "Bob", None, {"name": "Bob", "email": "b…@example.org"}),
        (
            "person.change",
            "Robert",
            {"name": "Bob", "email": "b…@example.org"},
            {"name": "Robert", "email": "r…@example.org"},
        ),
        ("membership.change", "Payments", None, {"Robert": "member"}),
        ("membership.change", "Payments", {"Robert": "member"}, {"Robert": "manager"}),
        ("membership.delete", "Payments", {"Robert": "manager"}, None),
        ("person.delete", "Robert", {"name": "Robert", "email": "r…@example.org"}, None),
    ]
    assert {entry.principal.account_id for entry in audit.entries.values()} == {PRIYA.id}
    assert {entry.service for entry in audit.entries.values()} == {"oncall-service"}


async def test_a_persons_escalation_is_recorded_and_that_of_the_time_out_is_not(
    closed: OnCall, audit: FakeAudit, priya: Mapping[str, str], tmp_path: Path
) -> None:
    incident, service = str(new_id()), on_behalf(tmp_path, "oncall", None)
    await call(closed, service, "POST", "/api/v1/escalations", start_of(incident))
    body = {"incident_id": incident, "reason": "no reply"}
    await call(closed, priya, "POST", "/api/v1/escalate", body, status=201)
    await call(closed, service, "POST", f"/api/v1/escalations/{incident}/stop", {"reason": "resolved", "actor": "Ada"})
    await call(closed, priya, "POST", "/api/v1/escalate", body, status=409)
    await eventually(lambda: len(audit.entries) == 1)
    [(action, name, before, after)] = audit.told()
    assert (action, name, before) == ("incident.escalate", "#2481 Card payments fail", None)
    assert after is not None
    assert after["reason"] == "no reply"
    assert closed.rows("SELECT id FROM oncall.audit_queue") == []
