"""How the pages look in a real browser: widths, themes, times, accessibility."""

import re
from itertools import pairwise

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

from tests.support.web import demo_data
from tests.support.web.demo_night import Services
from tests.support.web.pages import PAGES
from tests.support.web.visits import PHONE, Visit, caught_up, fits, live
from tests.web.test_format import DURATIONS
from tocsin.contracts.incidents import IncidentStatus

pytestmark = [pytest.mark.slow, pytest.mark.sample("pages in a browser", 45)]


async def test_no_page_is_wider_than_its_window(visit: Visit, services: Services) -> None:
    services.fill()
    visit.expect("404")
    page = await visit.open()
    for path in PAGES.values():
        await page.goto(visit.url + path)
        for width in (320, 390, 768, 1280, 1920):
            await page.set_viewport_size({"width": width, "height": 844})
            await fits(page)


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
async def test_the_strip_of_teams_shows_every_handoff_on_a_line_of_its_own(
    visit: Visit, services: Services, width: int, *, scripts: bool
) -> None:
    zones = {"Payments": "Europe/Berlin", "Storage": "America/New_York", "Data": "Asia/Kolkata", "Core": "Asia/Tokyo"}
    for team, zone in zones.items():
        services.schedules.schedules.append(demo_data.schedule(team, zone=zone))
        now = demo_data.on_call(team, "Hannah Weiss", "Jonas Lindqvist")
        services.schedules.on_call[team] = now.model_copy(update={"time_zone": zone})
    page = await visit.open(viewport={"width": width, "height": 844}, java_script_enabled=scripts)
    lines = page.locator(".strip p:has(time)")
    await expect(lines).to_have_count(len(zones))
    if not scripts:
        for zone in zones.values():
            await expect(lines.filter(has_text=zone)).to_be_visible()
    above = await lines.evaluate_all(
        "lines => lines.map((line) => line.getBoundingClientRect().y - line.closest('li').getBoundingClientRect().y)"
    )
    assert max(above) - min(above) <= 1
    assert await lines.evaluate_all("lines => lines.every((line) => line.scrollWidth <= line.clientWidth)")


async def test_on_a_phone_the_actions_are_at_the_thumb(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open(viewport=PHONE, has_touch=True, is_mobile=True))
    first = await page.get_by_role("button", name="Acknowledge incident 2481").bounding_box()
    assert first is not None
    assert first["height"] >= 40
    assert first["y"] + first["height"] < PHONE["height"]
    await page.goto(page.url + "incidents/2481")
    button = await page.get_by_role("button", name="Acknowledge").bounding_box()
    assert button is not None
    assert button["height"] >= 44
    assert button["y"] > PHONE["height"] * 0.75
    await page.get_by_role("button", name="Acknowledge").tap()
    await expect(page.locator("#response")).to_contain_text("Paging has stopped")


async def test_incidents_can_be_searched_from_every_page_on_a_phone(visit: Visit, services: Services) -> None:
    services.fill()
    visit.expect("404")
    page = await visit.open(viewport={"width": 320, "height": 700})
    for path in PAGES.values():
        await page.goto(visit.url + path)
        box = await page.locator("#q").bounding_box()
        assert box is not None, path
        assert box["width"] >= 100, path
    await page.locator("#q").fill("carrier")
    await page.keyboard.press("Enter")
    await expect(page.locator("tbody tr")).to_have_count(1)


async def test_now_fits_a_large_window_and_its_charts_take_the_height(visit: Visit, services: Services) -> None:
    services.be_quiet()
    page = await live(await visit.open(viewport={"width": 1920, "height": 1080}))
    assert await page.evaluate("document.documentElement.scrollHeight") <= 1080
    last = await page.locator(".rail .stat").last.bounding_box()
    assert last is not None
    assert 1080 - last["y"] - last["height"] < 100


async def test_the_list_of_shortcuts_has_room_between_its_parts(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open())
    await page.keyboard.press("?")
    parts = [await page.locator(f"#keys > {part}").bounding_box() for part in ("h2", "dl", "hr", "form")]
    boxes = [box for box in parts if box is not None]
    gaps = [below["y"] - above["y"] - above["height"] for above, below in pairwise(boxes)]
    assert len(gaps) == 3
    assert min(gaps) >= 12


@pytest.mark.parametrize(
    ("system", "theme", "dark"), [("dark", None, True), ("light", None, False), ("light", "dark", True)]
)
async def test_dark_mode_follows_the_system_or_the_visitor(
    visit: Visit, services: Services, system: str, theme: str | None, *, dark: bool
) -> None:
    services.fill()
    page = await live(await visit.open(color_scheme=system))
    if theme is not None:
        await page.locator(".top summary").click()
        await page.get_by_text("Dark", exact=True).click()
        await page.get_by_role("button", name="Apply").click()
    background = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(16, 17, 19)" if dark else "rgb(247, 246, 242)")


@pytest.mark.sample("colour schemes", 4)
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_no_violation(visit: Visit, services: Services, scheme: str) -> None:
    services.fill()
    visit.expect("404")
    page = await visit.open(color_scheme=scheme, reduced_motion="reduce")
    for path in PAGES.values():
        await page.goto(visit.url + path)
        await page.locator(".top summary").click()
        results = await Axe().run(page)
        assert results.violations_count == 0, f"{path}: {results.generate_report()}"


@pytest.mark.sample("colour schemes", 4)
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_no_violation_after_an_action(visit: Visit, services: Services, scheme: str) -> None:
    services.fill()
    page = await live(await visit.open(color_scheme=scheme, reduced_motion="reduce"))
    await caught_up(page, services)
    services.incidents.change(2480, IncidentStatus.ACKNOWLEDGED, "Dele Adeyemi", streamed=False)
    await page.get_by_role("button", name="Acknowledge incident 2480").click()
    await expect(page.locator("#notices .rejection")).to_be_visible()
    assert (await Axe().run(page)).violations_count == 0
    await page.keyboard.press("?")
    await expect(page.locator("#keys")).to_be_visible()
    assert (await Axe().run(page)).violations_count == 0
    await page.keyboard.press("Escape")
    await page.keyboard.press("Control+k")
    await expect(page.locator("#palette")).to_be_visible()
    assert (await Axe().run(page)).violations_count == 0


async def test_the_quiet_and_the_degraded_page_are_as_accessible(visit: Visit, services: Services) -> None:
    services.be_quiet()
    page = await live(await visit.open(reduced_motion="reduce"))
    assert (await Axe().run(page)).violations_count == 0
    await services.schedules.stop()
    await page.reload()
    await expect(page.locator("#notices")).to_contain_text("The on-call service has been unavailable since")
    assert (await Axe().run(page)).violations_count == 0


async def test_times_are_in_the_viewer_s_zone_and_durations_run(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open("/incidents/2481", timezone_id="Asia/Kolkata"))
    await expect(page.locator("#clock")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d GMT\+5:30$"))
    created = services.incidents.incidents[2481].created_at
    local = (created.hour * 60 + created.minute + 330) % 1440
    await expect(page.locator("#details time").first).to_contain_text(f"{local // 60:02}:{local % 60:02}:")
    before = await page.locator("#response progress").evaluate("element => element.value")
    age = await page.locator("#head .line time").text_content()
    await expect(page.locator("#head .line time")).not_to_have_text(str(age))
    assert await page.locator("#response progress").evaluate("element => element.value") < before


async def test_the_browser_writes_durations_as_the_server_does(visit: Visit, services: Services) -> None:
    services.be_quiet()
    page = await visit.open()
    script = await page.locator('script[src$="/start.js"]').get_attribute("src")
    written = await page.evaluate(
        """async ([script, seconds]) => {
             const times = await import(script.replace("start.js", "times.js"));
             return seconds.map((value) => [times.timer(value), times.duration(value)]);
           }""",
        [script, [seconds for seconds, _, _ in DURATIONS]],
    )
    assert [tuple(pair) for pair in written] == [(timer, duration) for _, timer, duration in DURATIONS]
