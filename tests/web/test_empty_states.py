"""Every list without rows names the next step."""

import pytest

from tests.support.web import demo_data
from tests.support.web.browser_queries import read
from tests.support.web.demo_night import Services
from tests.web.conftest import Client

GUIDE = "/handbook/api.md#alerts"


@pytest.mark.parametrize(
    ("path", "text", "ways"),
    [
        ("/incidents", "No unresolved incident.", ["/incidents?status=any"]),
        ("/incidents?sort=newest", "No unresolved incident.", ["/incidents?status=any&sort=newest"]),
        ("/incidents?status=any", "No incident yet: an alert opens the first.", [GUIDE, "/incidents/new"]),
        ("/incidents?severity=low", "No incident matches this filter.", ["/incidents?status=any"]),
        ("/alerts", "No alert was received in the last 24 hours.", ["/alerts?since=7d", GUIDE]),
        ("/alerts?since=7d", "No alert was received in the last 7 days.", [GUIDE]),
        ("/alerts?q=x", "No alert matches this filter.", ["/alerts", "/alerts?q=x&since=7d"]),
        ("/notifications", "No message yet", ["/handbook/channels.md", "/incidents/new"]),
        ("/notifications?q=x", "No message matches this filter.", ["/notifications"]),
    ],
)
async def test_an_empty_list_names_the_next_step(client: Client, path: str, text: str, ways: list[str]) -> None:
    page = await read(client, path)
    assert text in page.text("results")
    links = [link["href"] for link in page.elements("a") if link.get("class") == "link"]
    assert [link for link in links if link in ways] == ways
    for way in ways:
        await read(client, way)


async def test_an_incident_without_alerts_shows_why(client: Client, services: Services) -> None:
    incident = services.incidents.add(demo_data.incident(1, "Slow"))
    page = await read(client, f"/alerts?incident={incident.id}")
    assert "No alert belongs to this incident. Show the incident" in page.text("results")
    page = await read(client, f"/alerts?incident={incident.id}&severity=low")
    assert "No alert matches this filter. Show all alerts of this incident" in page.text("results")
