"""The audit on five real processes: whoever changes something, and wherever, is in it under the right name."""

from typing import Any

import pytest
import pytest_asyncio

from tests.support.e2e.closed import ADMIN, PASSWORD, Closed, browser
from tests.support.e2e.system import World
from tests.support.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
INCIDENT = {"title": "Card payments fail", "service": "checkout", "severity": "critical"}


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def team(closed: Closed, shared_world: World) -> None:
    """Pages go to `shared_world`."""
    await closed.call("POST", "oncall", "/api/v1/schedules", shared_world.team)


async def told(closed: Closed, **filters: str) -> list[tuple[str, str]]:
    """Return the action and the name of each entry, oldest first."""
    query = "&".join(f"{name}={value}" for name, value in filters.items())
    found = await closed.call("GET", "web", f"/api/v1/audit?limit=200&{query}")
    return [(entry["action"], entry["principal"]["name"]) for entry in reversed(found["items"])]


async def opened(closed: Closed) -> Any:
    return await closed.call("POST", "web", "/api/v1/incidents", INCIDENT, by="responder")


async def test_changes_through_the_gateway_by_a_page_and_at_the_service_have_the_name_of_the_account(
    closed: Closed,
) -> None:
    incident = await opened(closed)
    path = f"/api/v1/incidents/{incident['id']}"
    await closed.call("PATCH", "web", path, {"status": "acknowledged", "actor": "The CEO"}, by="responder")
    await closed.call("PATCH", "incidents", path, {"notes": "a look", "actor": "The CEO"}, by="admin")
    async with browser() as session:
        form = {"email": ADMIN["email"], "password": PASSWORD, "return_to": "/"}
        assert (await closed.post_form(session, "/login", **form)).status == 303
        response = await closed.post_form(session, f"/incidents/{incident['number']}/resolve", actor="The CEO")
        assert response.status == 303, await response.text()
    await eventually(lambda: _has(closed, incident, 4))
    assert await told(closed, object=incident["id"]) == [
        ("incident.open", "The responder"),
        ("incident.acknowledge", "The responder"),
        ("incident.note", "Ada"),
        ("incident.resolve", "Ada"),
    ]
    teams = await told(closed, kind="schedule")
    assert teams == [("schedule.create", "Ada")]
    await closed.call("GET", "web", "/api/v1/audit", by="responder", status=403)


async def _has(closed: Closed, incident: Any, number: int) -> bool:
    return len(await told(closed, object=incident["id"])) == number


async def test_entries_of_a_killed_service_arrive_once_after_the_web_service_was_away(closed: Closed) -> None:
    incident = await opened(closed)
    path = f"/api/v1/incidents/{incident['id']}"
    await closed.call("PATCH", "incidents", path, {"notes": "before"}, by="responder")
    await eventually(lambda: _has(closed, incident, 2))
    web, incidents = closed.system["web"], closed.system["incidents"]
    await web.kill()
    try:
        for number in range(5):
            await closed.call("PATCH", "incidents", path, {"notes": f"note {number}"}, by="responder")
        await closed.call("PATCH", "incidents", path, {"status": "acknowledged"}, by="responder")
        await incidents.kill()
        await incidents.start()
    finally:
        await web.start()
    await eventually(lambda: _has(closed, incident, 8))
    actions = [action for action, _ in await told(closed, object=incident["id"])]
    assert actions == ["incident.open", *6 * ["incident.note"], "incident.acknowledge"]


async def test_a_message_sent_again_by_a_person_is_recorded(closed: Closed) -> None:
    message = {"incident_id": (await opened(closed))["id"], "channel": "mock", "recipient": "Priya", "message": "Hello"}
    sent = await closed.call("POST", "web", "/api/v1/notify", message, by="responder")

    async def recorded() -> bool:
        return await told(closed, object=sent["notification_id"]) == [("message.send", "The responder")]

    await eventually(recorded)
