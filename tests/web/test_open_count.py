"""How many incidents are unacknowledged, shown beside Incidents on every page, and how many others are unresolved."""

from datetime import timedelta

import pytest
from playwright.async_api import expect

from tests.support.web import demo_data
from tests.support.web.browser_queries import FRAGMENTS, read
from tests.support.web.demo_night import Services
from tests.support.web.visits import Visit, live
from tests.web.conftest import Client
from tocsin.contracts.incidents import IncidentStatus

PAGES = ("/", "/incidents", "/incidents/2481", "/incidents/2479", "/alerts", "/notifications", "/oncall")


@pytest.mark.parametrize("path", [*PAGES, "/analytics"])
async def test_every_page_counts_unacknowledged_incidents(client: Client, services: Services, path: str) -> None:
    services.fill()
    assert (await read(client, path)).text("count") == ", unacknowledged: 2"
    assert (await read(client, path, headers=FRAGMENTS)).text("count") == ", unacknowledged: 2"


@pytest.mark.parametrize("path", ["/", "/incidents", "/alerts", "/notifications", "/oncall", "/analytics"])
async def test_an_unknown_or_zero_count_is_not_shown(client: Client, services: Services, path: str) -> None:
    services.be_quiet()
    assert (await read(client, path)).text("count") == ""
    services.fill()
    await services.incidents.stop()
    assert (await read(client, path)).text("count") == ""


async def test_the_page_of_an_alert_shows_the_count_too(client: Client, services: Services) -> None:
    alert = services.storm()["attached"]
    assert (await read(client, f"/alerts/{alert.id}")).text("count") == ", unacknowledged: 2"


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/incidents/2481", "/notifications"])
async def test_a_new_incident_is_counted_and_announced_on_another_page(
    visit: Visit, services: Services, path: str
) -> None:
    services.fill()
    page = await live(await visit.open(path))
    services.incidents.add(demo_data.incident(2490, "Orders cannot be placed"))
    await expect(page.locator("#spoken")).to_have_text("Incident 2490, critical, is new.")
    await expect(page.locator("#count")).to_contain_text("3")
    services.incidents.change(2490, IncidentStatus.ACKNOWLEDGED, "Dele Adeyemi")
    await expect(page.locator("#count")).to_contain_text("2")


async def test_the_number_of_acknowledged_incidents_and_those_in_progress_is_not_cut(
    client: Client, services: Services
) -> None:
    for number in range(1, 61):
        status = IncidentStatus.IN_PROGRESS if number % 2 else IncidentStatus.ACKNOWLEDGED
        services.incidents.incidents[number] = demo_data.working(number, "Slow", status, timedelta(hours=1))
    page = await read(client, "/")
    assert "60 incidents are acknowledged or in progress." in page.text("head")
    assert "Acknowledged or in progress 60" in page.text("main")
