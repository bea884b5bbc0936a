"""The metrics page in a real browser: widths, themes, accessibility, without JavaScript, on paper."""

import re
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

from tests.support.waiting import eventually
from tests.support.web import demo_data, quarter
from tests.support.web.demo_night import Services
from tests.support.web.visits import PHONE, Visit, fits, live
from tocsin.contracts.overview import Figures

pytestmark = [pytest.mark.slow, pytest.mark.sample("pages in a browser", 45)]
PATH = "/analytics?range=13w"


@pytest.mark.sample("colour schemes", 4)
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_no_chart_is_wider_than_its_window_and_axe_finds_nothing(
    visit: Visit, services: Services, scheme: str
) -> None:
    quarter.fill(services)
    page = await live(await visit.open(PATH, color_scheme=scheme, reduced_motion="reduce"))
    for width in (320, 390, 768, 1280, 1920):
        await page.set_viewport_size({"width": width, "height": 844})
        await fits(page)
    for summary in await page.locator("details.data summary").all():
        await summary.click()
    for width in (390, 1280):
        await page.set_viewport_size({"width": width, "height": 844})
        results = await Axe().run(page)
        assert results.violations_count == 0, results.generate_report()
        await fits(page)


async def test_without_javascript_a_range_is_chosen_a_table_opened_and_a_file_saved(
    visit: Visit, services: Services, tmp_path: Path
) -> None:
    quarter.fill(services)
    page = await visit.open(PATH, java_script_enabled=False, viewport=PHONE)
    await page.get_by_role("combobox", name="Team").select_option("Search")
    await page.get_by_role("radio", name="30 d").check(force=True)
    services.incidents.overview = quarter.overview(team="Search")
    await page.get_by_role("button", name="Show").click()
    await expect(page).to_have_url(re.compile(r"\?team=Search&range=30d$"))
    await expect(page.get_by_role("heading", level=1)).to_have_text("Acknowledged in 2:06 min, resolved in 41 min")
    await expect(page.get_by_role("radio", name="30 d")).to_be_checked()
    await expect(page.get_by_role("combobox", name="Team")).to_have_value("Search")
    await page.get_by_text("As a table").first.click()
    await expect(page.get_by_role("row", name=re.compile("^27 Jul")).first).to_be_visible()
    async with page.expect_download() as saved:
        await page.get_by_role("link", name=re.compile("time to acknowledge")).click()
    download = await saved.value
    await download.save_as(tmp_path / "saved.csv")
    assert re.fullmatch(r"time-to-acknowledge-30d-\d{4}-\d\d-\d\d\.csv", download.suggested_filename)
    assert (tmp_path / "saved.csv").read_text().startswith("week_of,median_seconds,")


async def test_a_refresh_updates_figures_and_leaves_an_open_table_open(visit: Visit, services: Services) -> None:
    quarter.fill(services)
    page = await live(await visit.open(PATH))
    await page.get_by_text("As a table").first.click()
    faster = quarter.figures((15, 41, 61, 41), quarter.durations(153, 90), quarter.durations(151, 2_460))
    services.incidents.overview = quarter.overview(total=Figures(**faster))
    services.incidents.add(demo_data.incident(2490, "Orders cannot be placed"))
    await expect(page.get_by_role("heading", level=1)).to_have_text("Acknowledged in 1:30 min, resolved in 41 min")
    await expect(page.get_by_role("row", name=re.compile("^27 Jul")).first).to_be_visible()


async def test_figures_are_fetched_twice_and_then_once_in_half_a_minute(visit: Visit, services: Services) -> None:
    quarter.fill(services)
    page = await visit.open("/handbook/operations.md")
    await page.clock.install()
    await page.goto(visit.url + PATH)
    await live(page)
    await eventually(lambda: len(services.incidents.overviews) == 2)
    for number in (2490, 2491):
        services.incidents.add(demo_data.incident(number, "Orders cannot be placed"))
        await expect(page.locator("#spoken")).to_have_text(f"Incident {number}, critical, is new.")
        await page.clock.run_for(5_000)
    assert len(services.incidents.overviews) == 3
    await page.clock.fast_forward(31_000)
    await eventually(lambda: len(services.incidents.overviews) > 3)


async def test_an_unavailable_service_is_retried_at_the_time_shown(visit: Visit, services: Services) -> None:
    quarter.fill(services)
    page = await visit.open("/handbook/operations.md")
    await page.clock.install()
    await services.schedules.stop()
    await page.goto(visit.url + PATH)
    await expect(page.locator("#notices")).to_contain_text("Next attempt in 0:0")
    await expect(page.locator("#live-word")).to_have_text("Partly live")
    await services.schedules.start()
    await page.clock.run_for(5_000)
    await live(page)
    await expect(page.locator("#outage")).to_have_count(0)


async def test_a_line_is_drawn_at_the_values_of_its_axis(visit: Visit, services: Services) -> None:
    quarter.fill(services)
    page = await visit.open(PATH)
    plot = page.locator(".plot").first
    box = await plot.locator("svg").bounding_box()
    line = await plot.locator(".line-1").bounding_box()
    assert box is not None
    assert line is not None
    # From 3.0 minutes down to 2.0, on an axis that ends at 4: a quarter of the height, half way down.
    assert line["height"] == pytest.approx(box["height"] / 4, abs=3)
    assert line["y"] - box["y"] == pytest.approx(box["height"] / 4, abs=3)
    assert line["width"] == pytest.approx(box["width"], abs=3)


async def test_a_print_has_the_charts_without_the_form(visit: Visit, services: Services) -> None:
    quarter.fill(services)
    page = await visit.open(PATH)
    await page.emulate_media(media="print")
    await expect(page.locator(".plot svg").first).to_be_visible()
    await expect(page.get_by_role("button", name="Show")).to_be_hidden()
