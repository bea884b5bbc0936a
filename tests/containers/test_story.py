"""From an alert to a resolved incident, through the edge."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from tests.containers.stack import Stack, beside, docker
from tests.e2e.invariants import healed
from tests.e2e.world import PRIMARY, World
from tests.support.waiting import eventually
from tocsin.kernel.ids import new_id

ALERT = {"severity": "critical", "message": "answers 5xx for 7.4 % of requests"}


async def test_an_alert_pages_the_person_on_call_who_acknowledges_and_resolves(stack: Stack, world: World) -> None:
    service = f"checkout-{new_id()}"  # what nobody sent is looked for, too
    alert = {**ALERT, "service": service}
    accepted = await stack.post("web", "/api/v1/alerts", alert)
    assert (accepted["status"], accepted["action"]) == ("correlated", "new_incident")
    incident = accepted["incident_id"]
    page = await world.first_page(incident)
    assert page.person == PRIMARY
    again = await stack.post("alerts", "/api/v1/alerts", alert)
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
    await healed(dsn, accepted=ids, service=service)


async def test_what_prometheus_finds_wrong_with_tocsin_pages_with_its_runbook_until_it_is_over(
    stack: Stack, world: World
) -> None:
    (container,) = stack.containers("web-ui")
    async with alertmanager(stack):
        await beside(docker, "stop", container)
        try:

            async def found() -> Any:
                return (await stack.get("incidents", "/api/v1/incidents?service=web-ui"))["items"]

            # The rule waits for a minute, lest it wakes somebody for a restart.
            (incident,) = await eventually(found, timeout=240, every=1)
            assert (incident["title"], incident["severity"]) == ("No replica of web-ui answers.", "critical")
            await world.first_page(incident["id"])
        finally:
            await beside(docker, "start", container)
        (alert,) = (await stack.get("alerts", f"/api/v1/alerts?incident_id={incident['id']}"))["items"]
        links = {link["text"]: link["href"] for link in alert["links"]}
        assert links["Runbook"] == f"{stack.url('web')}/handbook/operations.md#servicedown"
        assert alert["remark"] is None
        await stack.ready("web")
        assert f'href="{links["Runbook"]}"' in await _text(stack, f"{stack.url('web')}/incidents/{incident['number']}")
        assert 'id="servicedown"' in await _text(stack, links["Runbook"])
        assert links["Source"].startswith(f"http://localhost:{stack.ports['prometheus']}/")

        async def resolved() -> bool:
            return bool((await found())[0]["status"] == "resolved")

        await eventually(resolved, timeout=240, every=1)
    # Whatever else the tests before this one did to make Prometheus complain.
    for other in (await stack.get("incidents", "/api/v1/incidents?status=open"))["items"]:
        await stack.resolve(other["id"])


async def _text(stack: Stack, url: str) -> str:
    async with stack.session.get(url) as response:
        assert response.status == 200, url
        return await response.text()


@asynccontextmanager
async def alertmanager(stack: Stack) -> AsyncIterator[None]:
    """Run the real Alertmanager of the profile, whose only receiver is the system."""
    profile = ("--profile", "alertmanager")
    await beside(stack.compose, *profile, "up", "--detach", "--wait", "--no-deps", "--no-build", "alertmanager")
    try:
        yield
    finally:
        await beside(stack.compose, *profile, "rm", "--force", "--stop", "--volumes", "alertmanager")
