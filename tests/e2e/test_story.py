"""From an alert to a resolved incident, across five real processes."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.e2e.conftest import Standing
from tests.support.e2e.invariants import healed
from tests.support.e2e.system import PRIMARY, SECONDARY
from tests.support.ports import free_port
from tests.support.system import System
from tests.support.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


COUNTED = (
    "incident_mtta_seconds_count",
    "incident_mttr_seconds_count",
    'incidents_total{status="resolved"}',
    'incidents_created_total{severity="critical"}',
)


def alert(service: str) -> dict[str, str]:
    """Return an alert of a service that only one test has."""
    return {"service": service, "severity": "critical", "message": "answers 5xx for 7.4 % of requests"}


async def test_an_alert_opens_an_incident_that_pages_the_person_on_call_until_it_is_resolved(
    standing: Standing,
) -> None:
    system, world = standing.system, standing.world
    before = await _counts(system)
    first = await system.send_alert(alert("checkout"))
    assert first["action"] == "new_incident"
    incident = first["incident_id"]

    page = await world.first_page(incident)
    assert page.person == PRIMARY

    again = await system.send_alert(alert("checkout"))
    assert (again["incident_id"], again["action"]) == (incident, "attached_to_existing_incident")

    acknowledged = await system.patch(
        "web", f"/api/v1/incidents/{incident}", {"status": "acknowledged", "actor": PRIMARY}
    )
    assert acknowledged["assigned_to"] == PRIMARY
    assert acknowledged["team"] == "Payments"
    created, answered = (datetime.fromisoformat(acknowledged[name]) for name in ("created_at", "acknowledged_at"))
    assert acknowledged["mtta_seconds"] == pytest.approx((answered - created).total_seconds(), abs=0.001)

    resolved = await system.patch("web", f"/api/v1/incidents/{incident}", {"status": "resolved", "actor": PRIMARY})
    ended = datetime.fromisoformat(resolved["resolved_at"])
    assert resolved["mttr_seconds"] == pytest.approx((ended - created).total_seconds(), abs=0.001)

    kinds = await eventually(
        lambda: _timeline_with(system, incident, {"created", "paged", "delivered", "acknowledged"})
    )
    assert kinds[0] == "created"
    assert {"assigned", "resolved"} <= set(kinds)

    async def counted_once() -> bool:
        return await _counts(system) == {line: number + 1 for line, number in before.items()}

    await eventually(counted_once)
    ids = [UUID(first["id"]), UUID(again["id"])]
    await healed(standing.dsn, accepted=ids, service="checkout")
    assert len({received.delivery_id for received in world.pages_for(incident)}) == len(world.pages_for(incident))


async def test_an_escalation_that_somebody_stops_while_its_incident_is_open_pages_again(standing: Standing) -> None:
    system, world = standing.system, standing.world
    incident = (await system.send_alert(alert("ledger")))["incident_id"]
    await world.first_page(incident)
    stop = {"reason": "resolved", "actor": "somebody"}
    signature = system.signature("incidents", "oncall")
    stopped = await system.post("oncall", f"/api/v1/escalations/{incident}/stop", stop, **signature)

    def paged_again() -> bool:
        return any(page.body["page"]["step"] > stopped["step"] for page in world.pages_for(incident))

    await eventually(paged_again)
    escalation = await system.get("oncall", f"/api/v1/escalations/{incident}")
    assert escalation["stopped_at"] is None
    await system.patch("incidents", f"/api/v1/incidents/{incident}", {"status": "acknowledged"})
    await eventually(lambda: _stopped(system, incident))


async def test_if_a_person_does_not_acknowledge_the_next_person_is_paged_then_everyone(standing: Standing) -> None:
    system, world = standing.system, standing.world
    incident = (await system.send_alert(alert("search")))["incident_id"]
    await eventually(lambda: len(world.pages_for(incident)) >= 4)
    first_four = [page.person for page in world.pages_for(incident)][:4]
    assert first_four[:2] == [PRIMARY, SECONDARY]
    assert sorted(first_four[2:]) == sorted([PRIMARY, SECONDARY])
    await system.patch("incidents", f"/api/v1/incidents/{incident}", {"status": "acknowledged"})
    escalation = await eventually(lambda: _stopped(system, incident))
    assert escalation["next_action_at"] is None


async def test_a_page_that_is_refused_for_good_goes_to_the_next_person_at_once(standing: Standing) -> None:
    system, world = standing.system, standing.world
    world.refused.add("mail")
    incident = (await system.send_alert(alert("mail")))["incident_id"]
    page = await world.first_page(incident)
    assert page.person == SECONDARY
    kinds = await eventually(lambda: _timeline_with(system, incident, {"delivery_failed", "escalated"}))
    assert "delivery_failed" in kinds


async def test_an_incident_opened_by_hand_names_who_was_paged(standing: Standing) -> None:
    system, world = standing.system, standing.world
    body = {"title": "Label printers are offline", "service": "labels", "severity": "high"}
    incident = await system.post("web", "/api/v1/incidents", body)
    assert incident["assigned_to"] == PRIMARY
    assert (await world.first_page(incident["id"])).person == PRIMARY


async def test_a_real_alertmanager_opens_an_incident_and_resolves_it(standing: Standing, tmp_path: Path) -> None:
    system, world = standing.system, standing.world
    async with alertmanager(f"{system['alerts'].url}/api/v1/receivers/alertmanager", tmp_path) as url:
        now = datetime.now(UTC)
        fires: dict[str, Any] = {
            "labels": {"alertname": "HighErrorRate", "service": "payments", "severity": "page", "instance": "a"},
            "annotations": {"summary": "payments answers 5xx for 7.4 % of requests"},
            "startsAt": now.isoformat(),
        }
        async with system.session.post(f"{url}/api/v2/alerts", json=[fires]) as response:
            assert response.status == 200
        found = await eventually(lambda: _incident_of(system, "payments"))
        assert (found["service"], found["severity"], found["status"]) == ("payments", "critical", "open")
        assert (await world.first_page(found["id"])).person == PRIMARY

        fires["endsAt"] = (now + timedelta(milliseconds=1)).isoformat()
        async with system.session.post(f"{url}/api/v2/alerts", json=[fires]) as response:
            assert response.status == 200
        incident = await eventually(lambda: _resolved(system, found["id"]))
        assert incident["mttr_seconds"] > 0
        assert incident["timeline"][0]["event_type"] == "resolved"


@asynccontextmanager
async def alertmanager(receiver: str, folder: Path) -> AsyncIterator[str]:
    """Yield the address of a real Alertmanager whose only receiver is *receiver*."""
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    assert program, "Alertmanager is not installed. On Debian: apt-get install prometheus-alertmanager"
    config = {
        "route": {"receiver": "tocsin", "group_by": ["service"], "group_wait": "0s", "group_interval": "1s"},
        "receivers": [{"name": "tocsin", "webhook_configs": [{"url": receiver}]}],
    }
    file = folder / "alertmanager.yml"
    file.write_text(json.dumps(config))  # JSON is YAML
    port = free_port()
    with (folder / "alertmanager.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program,
            f"--config.file={file}",
            f"--storage.path={folder / 'alertmanager'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
            stdout=log,
            stderr=log,
        )
    try:
        await eventually(lambda: _listens(port))
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


async def _timeline_with(system: System, incident: str, wanted: set[str]) -> list[str]:
    """Return the timeline's event types, oldest first, once all of *wanted* are there."""
    found = await system.get("incidents", f"/api/v1/incidents/{incident}")
    kinds = [entry["event_type"] for entry in reversed(found["timeline"])]
    return kinds if wanted <= set(kinds) else []


async def _counts(system: System) -> dict[str, float]:
    """Return what an incident that runs its course adds one to."""
    async with system.session.get(system["incidents"].url + "/metrics") as response:
        samples = dict(line.rsplit(" ", 1) for line in (await response.text()).splitlines())
    return {name: float(samples[name]) for name in COUNTED}


async def _stopped(system: System, incident: str) -> Any:
    escalation = await system.get("oncall", f"/api/v1/escalations/{incident}")
    return escalation if escalation["stop_reason"] == "acknowledged" else None


async def _incident_of(system: System, service: str) -> Any:
    items = (await system.get("incidents", f"/api/v1/incidents?service={service}"))["items"]
    return items[0] if items else None


async def _resolved(system: System, incident: str) -> Any:
    found = await system.get("incidents", f"/api/v1/incidents/{incident}")
    return found if found["status"] == "resolved" else None
