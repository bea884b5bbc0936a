"""Failures before and after each operation of on-call: a retry leads to the same result."""

from collections.abc import Callable
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from typing import Any, TypeAlias

import pytest
from aiohttp import ClientSession

from tests.fakes.notifications import FakeNotifications
from tests.fakes.timeline import FakeTimeline
from tests.oncall.conftest import OnCall, delivered, person, start_of
from tests.support.postgres import run
from tests.support.system import Replica as Process
from tests.support.waiting import eventually
from tocsin.kernel.failpoints import POINTS
from tocsin.kernel.ids import new_id

Arm: TypeAlias = Callable[[str], None]
IN_REQUESTS = [
    "oncall.create_schedule",
    "oncall.replace_schedule",
    "oncall.start",
    "oncall.escalate",
    "oncall.delivery_failed",
    "oncall.stop",
    "oncall.add_person",
    "oncall.change_person",
    "oncall.join_team",
]
"""Points in a request, which fails with 503."""
IN_THE_BACKGROUND = ["oncall.page", "oncall.timeline", "oncall.cancel", "oncall.execute_due", "oncall.roll_up"]
"""The last one is tested in `test_pager_load`."""
KINDS = ["raise", "execute_then_raise"]


@pytest.fixture
def arm(monkeypatch: pytest.MonkeyPatch) -> Arm:
    """Arm a failpoint for one failure."""
    return lambda point: monkeypatch.setenv("FAILPOINT", point)


def test_every_failpoint_of_on_call_is_tested_here() -> None:
    assert sorted(IN_REQUESTS + IN_THE_BACKGROUND) == sorted(name for name in POINTS if name.startswith("oncall."))


@pytest.mark.parametrize("kind", KINDS)
async def test_a_request_retried_after_a_failure_has_one_effect(oncall: OnCall, kind: str, arm: Arm) -> None:
    incident_id = str(new_id())

    async def retry_after_failure(point: str, path: str, body: Any) -> Any:
        arm(f"{point}:{kind}")
        await oncall.post(path, body, status=503, key=point)
        return await oncall.post(path, body, key=point)

    people = [person("Ada"), person("Bob", role="secondary")]
    team = {"team": "Payments", "rotation_type": "weekly", "members": people}
    made = await retry_after_failure("oncall.create_schedule", "/api/v1/schedules", team)
    arm(f"oncall.replace_schedule:{kind}")
    wanted = {**team, "services": ["ledger"]}
    await oncall.put(made["id"], wanted, version=1, status=503)
    assert (await oncall.put(made["id"], wanted, version=1))["version"] == 2
    await retry_after_failure("oncall.start", "/api/v1/escalations", start_of(incident_id))
    escalated = await retry_after_failure("oncall.escalate", "/api/v1/escalate", {"incident_id": incident_id})
    failed = {"notification_id": escalated["pages"][-1]["notification_id"]}
    path = f"/api/v1/escalations/{incident_id}"
    await retry_after_failure("oncall.delivery_failed", f"{path}/delivery-failed", failed)
    stopped = await retry_after_failure("oncall.stop", f"{path}/stop", {"reason": "resolved", "actor": "Ada"})
    assert (stopped["step"], stopped["stop_reason"]) == (3, "resolved")
    assert [(page["step"], page["person"]) for page in stopped["pages"]] == [
        (1, "Ada"),
        (2, "Bob"),
        (3, "Ada"),
        (3, "Bob"),
    ]
    assert len((await oncall.get("/api/v1/schedules"))["items"]) == 1
    assert oncall.rows("SELECT count(*) FROM oncall.outbox WHERE kind = 'cancel_pages'") == [{"count": 1}]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_change_of_people_retried_after_a_failure_has_one_effect(oncall: OnCall, kind: str, arm: Arm) -> None:
    await oncall.team("Payments")

    async def retry_after_failure(point: str, method: str, path: str, body: Any) -> Any:
        arm(f"oncall.{point}:{kind}")
        async with oncall.client.request(method, path, json=body) as response:
            assert response.status == 503
        async with oncall.client.request(method, path, json=body) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    eve = {"name": "Eve", "email": "eve@example.org"}
    arm(f"oncall.add_person:{kind}")
    await oncall.post("/api/v1/people", eve, status=503, key="k")
    added = await oncall.post("/api/v1/people", eve, status=201, key="k")
    path = f"/api/v1/people/{added['id']}"
    assert (await retry_after_failure("change_person", "PATCH", path, {"name": "Eva"}))["version"] == 2
    (team,) = (await oncall.get("/api/v1/teams"))["items"]
    membership = f"/api/v1/teams/{team['id']}/people/{added['id']}"
    joined = await retry_after_failure("join_team", "PUT", membership, {"role": "manager"})
    assert ("Eva", "manager") in [(item["name"], item["role"]) for item in joined["people"]]


async def retried(oncall: OnCall, kind: str) -> None:
    """Wait until rows of *kind* have been retried, and are all done."""
    rows = "SELECT max(attempts) AS most, every(done_at IS NOT NULL) AS done FROM oncall.outbox WHERE kind = %(kind)s"
    await eventually(lambda: oncall.rows(rows, kind=kind) == [{"most": 2, "done": True}])


@pytest.mark.parametrize("kind", KINDS)
async def test_a_delivery_that_fails_is_retried_until_it_succeeds(oncall: OnCall, kind: str, arm: Arm) -> None:
    await oncall.team()
    arm(f"oncall.page:{kind}")
    incident_id = (await oncall.start())["incident_id"]
    await retried(oncall, "page")
    arm(f"oncall.timeline:{kind}")
    await oncall.post("/api/v1/escalate", {"incident_id": incident_id}, status=201)
    await retried(oncall, "timeline")
    arm(f"oncall.cancel:{kind}")
    await oncall.stop(incident_id)
    await retried(oncall, "cancel_pages")
    assert oncall.notifications.paged(incident_id) == [(1, "Ada", "mock"), (2, "Bob", "mock")]
    assert len({request.idempotency_key for request in oncall.notifications.requests if "void" in request.path}) == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_a_due_step_that_fails_is_executed_once_in_the_end(oncall: OnCall, kind: str, arm: Arm) -> None:
    await oncall.team()
    incident_id = (await oncall.start())["incident_id"]
    failures = 'tocsin_worker_ticks_total{outcome="error",worker="escalations"}'
    arm(f"oncall.execute_due:{kind}")
    oncall.rows("UPDATE oncall.escalation SET next_action_at = tocsin.now()")

    async def has_failed() -> bool:
        return (await oncall.metrics())[failures] == 1

    await eventually(has_failed)
    await delivered(oncall, incident_id, (1, "Ada", "mock"), (2, "Bob", "mock"))


@pytest.mark.slow
async def test_a_replica_paused_past_its_lease_changes_nothing_more(
    db_dsn: str, tmp_path: Path, notifications: FakeNotifications, timeline: FakeTimeline
) -> None:
    environment = {
        "DATABASE_URL": db_dsn,
        "INCIDENT_MANAGEMENT_URL": timeline.url,
        "NOTIFICATION_SERVICE_URL": notifications.url,
        "LEASE_SECONDS": "2",
        "POLL_SECONDS": "0.1",
    }
    paused, other = (Process("oncall", environment, tmp_path / f"{name}.log") for name in ("paused", "other"))
    async with ClientSession() as session:

        async def post(path: str, body: Any) -> Any:
            async with session.post(paused.url + path, json=body) as response:
                assert response.ok, await response.text()
                return await response.json()

        async def has_gone_on() -> bool:
            """Return whether it has tried, too late, to record the result of its delivery."""
            async with session.get(f"{paused.url}/metrics") as response:
                metrics = await response.text()
            name = 'tocsin_outbox_deliveries_total{kind="page",outcome="%s"} 1.0'
            return any(name % outcome in metrics for outcome in ("fenced", "retry"))

        try:
            await paused.start()
            members = [person("Ada"), person("Bob", role="secondary")]
            await post("/api/v1/schedules", {"team": "Payments", "rotation_type": "weekly", "members": members})
            notifications.gate.clear()
            incident_id = (await post("/api/v1/escalations", start_of(str(new_id()))))["incident_id"]
            await eventually(lambda: notifications.requests)
            paused.send(SIGSTOP)
            await other.start()
            notifications.gate.set()
            await eventually(lambda: len(notifications.requests) == 2)
            done = "SELECT attempts, done_at FROM oncall.outbox WHERE kind = 'page' AND done_at IS NOT NULL"
            (row,) = await eventually(lambda: run(db_dsn, done))
            paused.send(SIGCONT)
            await eventually(has_gone_on)
            assert run(db_dsn, done) == [row]
            assert row["attempts"] == 2
            assert notifications.paged(incident_id) == [(1, "Ada", "mock")]
        finally:
            for process in (paused, other):
                if process.started:
                    await process.kill()
