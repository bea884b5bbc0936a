"""The pages by keyboard alone, in a real browser."""

import pytest
from playwright.async_api import Page, expect

from tests.support.waiting import eventually
from tests.support.web.demo_night import Services
from tests.support.web.visits import Visit, live
from tocsin.contracts.incidents import IncidentStatus

pytestmark = [pytest.mark.slow, pytest.mark.sample("pages in a browser", 45)]


async def focused(page: Page, words: str) -> None:
    """Wait until the focus is on something with these words."""
    await expect(page.locator(":focus")).to_contain_text(words)


async def test_an_incident_is_resolved_from_now_by_keys_alone(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open())
    await page.keyboard.press("a")  # on no row: nothing is acknowledged by accident
    await page.keyboard.press("j")
    await focused(page, "Checkout answers 5xx")
    await page.keyboard.press("j")
    await focused(page, "Carrier sync queue")
    await page.keyboard.press("k")
    await focused(page, "Checkout answers 5xx")
    assert services.incidents.changes == []
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(visit.url + "/incidents/2481")
    await live(page)
    await page.keyboard.press("a")
    await expect(page.locator("#response h2")).to_have_text("Acknowledged by somebody via web")
    await page.keyboard.press("n")
    await page.keyboard.type("Rolled back: jk r a")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator("#timeline .note-text").first).to_have_text("Rolled back: jk r a")
    await page.keyboard.press("r")
    await eventually(lambda: services.incidents.incidents[2481].status is IncidentStatus.RESOLVED)
    await expect(page.locator("#response h2")).to_have_text("Resolved by somebody via web")


async def test_a_row_that_has_the_focus_is_acknowledged_where_it_is(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open())
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await page.keyboard.press("a")
    await expect(page.locator("h1")).to_have_text("1 incident is unacknowledged")
    assert services.incidents.incidents[2480].status is IncidentStatus.ACKNOWLEDGED
    assert services.incidents.incidents[2481].status is IncidentStatus.OPEN


async def test_the_palette_finds_pages_incidents_and_actions(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open("/incidents/2481"))
    await page.keyboard.press("Control+k")
    options = page.locator("#palette li")
    await expect(options.first).to_contain_text("Acknowledge")
    await page.keyboard.type("on call")
    await expect(options.first).to_contain_text("On call")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(visit.url + "/oncall")
    await live(page)
    await page.keyboard.press("Control+k")
    await page.keyboard.type("#2480")
    await expect(options.first).to_contain_text("Incident #2480")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(visit.url + "/incidents/2480")
    await live(page)
    await page.keyboard.press("Control+k")
    await page.keyboard.type("acknow")
    await page.keyboard.press("Enter")
    await expect(page.locator("#response h2")).to_have_text("Acknowledged by somebody via web")
    await page.keyboard.press("Control+k")
    await page.keyboard.press("Escape")
    await expect(page.locator("#palette")).to_be_hidden()


async def test_the_list_of_shortcuts_opens_and_can_turn_them_off(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open())
    await page.keyboard.press("?")
    await expect(page.locator("#keys")).to_be_visible()
    await page.get_by_role("button", name="Turn off").click()
    await expect(page.locator("body[data-keys]")).to_have_count(0)
    await live(page)
    await page.keyboard.press("j")
    await expect(page.locator(".unacked :focus")).to_have_count(0)
    await page.keyboard.press("Control+k")
    await expect(page.locator("#palette")).to_be_visible()


async def test_the_first_tab_stop_skips_to_the_content(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open())
    await page.keyboard.press("Tab")
    await focused(page, "Skip to content")
    await expect(page.locator(":focus")).to_be_in_viewport()
    await page.keyboard.press("Enter")
    await expect(page.locator("#main")).to_be_focused()
