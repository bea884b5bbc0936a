"""Whether pages can be read in a real browser: nothing is cut off, empty pages lead on, the handbook is accessible."""

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

from tests.support.web import quarter
from tests.support.web.demo_night import Services
from tests.support.web.visits import PHONE, Visit, live
from tests.web.test_handbook import PAGES as HANDBOOK
from tocsin.contracts.overview import Figures

pytestmark = [pytest.mark.slow, pytest.mark.sample("pages in a browser", 45)]
CUT_OFF = """() => [...document.querySelectorAll("main .card")]
  .filter((card) => [...card.querySelectorAll("table, ul, ol, form")].some((part) => {
    const scrolled = part.closest(".scroll, .clip, [hidden]");
    return !scrolled && part.getBoundingClientRect().right > card.getBoundingClientRect().right + 1;
  }))
  .map((card) => card.getAttribute("aria-labelledby"))"""
"""The cards of which a table, a list or a form sticks out."""


@pytest.mark.parametrize(
    "path", ["/oncall", "/oncall/new", "/analytics?range=13w", "/incidents/2481", "/incidents/new"]
)
async def test_nothing_overflows_its_card(visit: Visit, services: Services, path: str) -> None:
    services.fill()
    quarter.fill(services)
    page = await visit.open(path)
    for width in (320, 390, 768, 1024, 1280, 1920):
        await page.set_viewport_size({"width": width, "height": 844})
        assert await page.evaluate(CUT_OFF) == [], width


async def test_every_page_of_the_handbook_is_accessible(visit: Visit) -> None:
    page = await visit.open("/handbook/operations.md", reduced_motion="reduce", viewport=PHONE)
    for name in HANDBOOK:
        await page.goto(f"{visit.url}/handbook/{name}")
        results = await Axe().run(page)
        assert results.violations_count == 0, f"{name}: {results.generate_report()}"
        assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name


@pytest.mark.parametrize("path", ["/oncall", "/analytics", "/incidents/new"])
async def test_empty_pages_are_accessible_and_lead_on(visit: Visit, services: Services, path: str) -> None:
    quarter.fill(services)
    none = Figures(**quarter.figures((0, 0, 0, 0), quarter.nothing(), quarter.nothing()))
    services.incidents.overview = quarter.overview(total=none, before=none, services=[], periods=[])
    page = await visit.open(path, reduced_motion="reduce")
    await expect(page.locator("main .btn.primary")).to_have_count(1)
    results = await Axe().run(page)
    assert results.violations_count == 0, results.generate_report()


async def test_on_a_phone_an_incident_has_the_navigation_below_its_actions(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open("/incidents/2481", viewport=PHONE, has_touch=True, is_mobile=True))
    actions = await page.get_by_role("group", name="Actions").bounding_box()
    navigation = await page.get_by_role("navigation", name="Main").bounding_box()
    assert actions is not None
    assert navigation is not None
    assert actions["y"] + actions["height"] <= navigation["y"] + 1
    assert navigation["y"] + navigation["height"] == pytest.approx(PHONE["height"], abs=1)
    await page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    last = await page.locator("aside .card:visible").last.bounding_box()
    assert last is not None
    assert last["y"] + last["height"] <= actions["y"]
    await page.get_by_role("navigation", name="Main").get_by_role("link", name="On call").tap()
    await expect(page).to_have_url(visit.url + "/oncall")
