"""Who is on call, in a real browser: on a phone, without JavaScript, across the hours of a change of the clocks."""

import re

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

from tests.support.web.demo_night import Services
from tests.support.web.visits import DESKTOP, PHONE, Visit, live

pytestmark = [pytest.mark.slow, pytest.mark.sample("pages in a browser", 45)]


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
async def test_a_schedule_is_made_and_changed(
    visit: Visit, services: Services, viewport: dict[str, int], *, script: bool
) -> None:
    page = await visit.open("/oncall", viewport=viewport, java_script_enabled=script)
    await page.get_by_role("link", name="Create the first team").click()
    await expect(page.get_by_label("Time zone")).to_have_value("Europe/Berlin" if script else "UTC")
    await page.get_by_label("Team", exact=True).fill("Payments")
    await page.get_by_label("Time zone").fill("Europe/Rome")
    for number, (name, role) in enumerate((("Priya Raman", "primary"), ("Carol Mensah", "secondary"))):
        row = page.locator(f"#member-{number}")
        await row.get_by_label("Name").fill(name)
        await row.get_by_label("E-mail").fill(f"{name.split()[0].lower()}@example.org")
        await row.get_by_label("Role").select_option(role)
    await page.get_by_role("button", name="Create schedule").click()
    await expect(page.locator("h1")).to_have_text("Priya Raman is on call for Payments")
    await page.get_by_role("link", name="Edit the schedule of Payments").click()
    await page.get_by_role("button", name="Add rows").click()
    await page.locator("#member-2").get_by_label("Name").fill("Yusuf Demir")
    await page.locator("#member-2").get_by_label("E-mail").fill("yusuf@example.org")
    await page.get_by_role("button", name="Save schedule").click()
    await expect(page.locator("#teams")).to_contain_text("Yusuf Demir")
    assert [member.name for member in services.schedules.schedules[0].members] == [
        "Priya Raman",
        "Carol Mensah",
        "Yusuf Demir",
    ]


async def test_a_day_of_25_hours_is_drawn_wider_and_its_week_has_169_hours(visit: Visit, services: Services) -> None:
    services.be_quiet()
    page = await live(await visit.open("/oncall?team=Payments&begin=2026-10-19"))
    await expect(page.locator(".clock-change-text")).to_have_text("25 h")
    await expect(page.locator(".schedule .person-name").first).to_be_visible()
    xs = await page.locator(".schedule line.day[x1]").evaluate_all(
        "lines => lines.slice(0, 9).map((line) => line.getBoundingClientRect().x)"
    )
    assert (xs[7] - xs[6]) / (xs[6] - xs[5]) == pytest.approx(25 / 24, abs=0.01)
    await page.get_by_text("Schedule as a table").click()
    await expect(page.locator("#schedule-table")).to_contain_text("169")


async def test_handoffs_are_in_the_viewer_s_zone_which_is_named_if_it_differs_from_that_of_the_schedule(
    visit: Visit, services: Services
) -> None:
    services.be_quiet()
    page = await live(await visit.open("/oncall", timezone_id="Europe/Berlin"))
    tokyo, berlin = (services.schedules.schedules[number] for number in (3, 0))
    await expect(page.locator(f"#team-{tokyo.id} time").first).to_have_text(re.compile(r"^Mon 0[12]:00 CES?T$"))
    await expect(page.locator(f"#team-{berlin.id} time").first).to_have_text("Mon 09:00")
    await expect(page.locator("#head time").first).to_have_text(re.compile(r"^Mon \d+ \w{3}, 0[129]:00 CES?T$"))


async def test_an_empty_page_of_on_call_is_accessible(visit: Visit) -> None:
    page = await live(await visit.open("/oncall", reduced_motion="reduce"))
    await expect(page.get_by_role("link", name="Create the first team")).to_be_visible()
    results = await Axe().run(page)
    assert results.violations_count == 0, results.generate_report()


async def test_links_lead_to_other_weeks_and_teams(visit: Visit, services: Services) -> None:
    services.be_quiet()
    page = await live(await visit.open("/oncall?team=Search&begin=2026-10-19"))
    await page.get_by_role("link", name="Later").click()
    await expect(page.locator("#sc")).to_contain_text("Mon 2 Nov to Sun 15 Nov")
    await page.get_by_role("link", name="Today").click()
    await expect(page.locator(".now-line")).to_have_count(1)
    await page.get_by_label("Team", exact=True).select_option("Platform")
    await page.get_by_role("button", name="Show").click()
    await expect(page.locator("#sc")).to_contain_text("Platform")
