"""From an alert to a resolved incident, through the edge."""

from typing import Any
from uuid import UUID

from tests.containers.conftest import alertmanager
from tests.support.containers.stack import Stack, beside
from tests.support.e2e.invariants import healed
from tests.support.e2e.system import PRIMARY, World
from tests.support.waiting import eventually
from tocsin.kernel.clock import now
from tocsin.kernel.ids import new_id

ALERT = {"severity": "critical", "message": "answers 5xx for 7.4 % of requests"}


async def test_an_alert_pages_the_person_on_call_who_acknowledges_and_resolves(stack: Stack, world: World) -> None:
    await story(stack, world, "checkout")


async def story(stack: Stack, world: World, service: str) -> None:
    """Send an alert of *service*, which a team owns, and follow it until it is resolved."""
    alert = {**ALERT, "service": service}
    first = await stack.send_alert(alert, to="web")
    assert first["action"] == "new_incident"
    incident = first["incident_id"]
    page = await world.first_page(incident)
    assert page.person == PRIMARY
    again = await stack.send_alert(alert)
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
    dsn, ids = stack.dsn(), [UUID(first["id"]), UUID(again["id"])]
    await healed(dsn, accepted=ids, service=service)


async def test_alertmanager_opens_an_incident_pages_and_resolves_it(stack: Stack, world: World) -> None:
    service = f"sender-{new_id()}"
    labels = ("alertname=DiskFull", f"service={service}", "severity=critical")

    async def found() -> Any:
        return (await stack.get("incidents", f"/api/v1/incidents?service={service}"))["items"]

    async with alertmanager(stack):
        add = (stack.execute, "alertmanager", "amtool", "alert", "add", "--alertmanager.url=http://localhost:9093")
        await beside(*add, *labels, "--annotation=summary=The disk is full.")
        (incident,) = await eventually(found)
        assert (incident["title"], incident["severity"]) == ("The disk is full.", "critical")
        await world.first_page(incident["id"])
        await beside(*add, *labels, f"--end={now().isoformat()}")

        async def resolved() -> bool:
            return bool((await found())[0]["status"] == "resolved")

        await eventually(resolved, timeout=60)
