"""From an alert to a resolved incident, through the edge."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from tests.containers.stack import Stack, beside
from tests.e2e.invariants import broken
from tests.e2e.world import PRIMARY, World
from tests.support.waiting import eventually

ALERT = {"service": "checkout", "severity": "critical", "message": "answers 5xx for 7.4 % of requests"}


async def test_an_alert_pages_the_person_on_call_who_acknowledges_and_resolves(stack: Stack, world: World) -> None:
    accepted = await stack.post("web", "/api/v1/alerts", ALERT)
    assert (accepted["status"], accepted["action"]) == ("correlated", "new_incident")
    incident = accepted["incident_id"]
    page = await world.first_page(incident)
    assert page.person == PRIMARY
    again = await stack.post("alerts", "/api/v1/alerts", ALERT)
    assert again["incident_id"] == incident

    for status in ("acknowledged", "resolved"):
        changed = await stack.patch("web", f"/api/v1/incidents/{incident}", {"status": status, "actor": PRIMARY})
        assert changed["status"] == status

    async def delivered() -> bool:
        found = await stack.get("incidents", f"/api/v1/incidents/{incident}")
        return {"paged", "delivered", "acknowledged", "resolved"} <= {
            entry["event_type"] for entry in found["timeline"]
        }

    await eventually(delivered)
    async with stack.session.get(f"{stack.url('web')}/incidents/{incident}") as response:
        assert response.status == 200
        assert ALERT["message"] in await response.text()
    dsn, ids = stack.dsn(), [UUID(accepted["alert_id"]), UUID(again["alert_id"])]
    await eventually(lambda: not broken(dsn, accepted=ids, service="checkout"), every=0.2)


async def test_a_real_alertmanager_opens_an_incident_and_resolves_it(stack: Stack, world: World) -> None:
    async with alertmanager(stack) as url:
        alert: dict[str, Any] = {
            "labels": {"alertname": "HighErrorRate", "service": "till", "severity": "page"},
            "annotations": {"summary": "the till answers 5xx"},
            "startsAt": datetime.now(UTC).isoformat(),
        }
        await _send(stack, url, alert)

        async def found() -> Any:
            return (await stack.get("incidents", "/api/v1/incidents?service=till"))["items"]

        (incident,) = await eventually(found, timeout=20)
        assert (incident["severity"], incident["status"]) == ("critical", "open")
        assert (await world.first_page(incident["id"])).person == PRIMARY
        alert["endsAt"] = (datetime.now(UTC) - timedelta(milliseconds=1)).isoformat()
        await _send(stack, url, alert)

        async def resolved() -> bool:
            return bool((await found())[0]["status"] == "resolved")

        await eventually(resolved, timeout=20)


async def _send(stack: Stack, url: str, alert: dict[str, Any]) -> None:
    async with stack.session.post(f"{url}/api/v2/alerts", json=[alert]) as response:
        assert response.status == 200, await response.text()


@asynccontextmanager
async def alertmanager(stack: Stack) -> AsyncIterator[str]:
    """Run the real Alertmanager of the profile, whose only receiver is the system."""
    profile = ("--profile", "alertmanager")
    await beside(stack.compose, *profile, "up", "--detach", "--wait", "--no-deps", "--no-build", "alertmanager")
    try:
        yield stack.url("alertmanager")
    finally:
        await beside(stack.compose, *profile, "rm", "--force", "--stop", "--volumes", "alertmanager")
