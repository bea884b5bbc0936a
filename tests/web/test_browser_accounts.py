"""Closed mode in a real browser: set-up, log-in, one's account and everybody's, with the keyboard alone."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from tests.support.web.audit import app_of, given_entry
from tests.support.web.closed import PASSWORD, closed_settings, setup_path
from tests.support.web.demo_night import Services
from tests.support.web.visits import DESKTOP, PHONE, Visit, fits, live
from tests.web.conftest import Client, StartWeb
from tocsin.web.access.service import DEPS, audit

pytestmark = [pytest.mark.slow, pytest.mark.sample("pages in a browser", 45)]


@pytest_asyncio.fixture(loop_scope="session")
async def client(start_web: StartWeb, db_dsn: str, tmp_path: Path) -> Client:
    """The web service in closed mode, without an account."""
    return await start_web(**closed_settings(tmp_path, db_dsn))


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: Browser, client: Client, services: Services) -> AsyncIterator[Visit]:
    visiting = Visit(browser, str(client.make_url("/")))
    yield visiting
    await visiting.close()
    services.incidents.cut_streams()
    assert visiting.complaints == []


async def set_up(visit: Visit, client: Client, **context: Any) -> Page:
    """Create the first admin; return a page that is logged in."""
    page = await visit.open(await setup_path(client), **context)
    await page.get_by_label("Your name").fill("Ada")
    await page.get_by_label("E-mail").fill("ada@example.org")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(visit.url + "/")
    return page


async def is_sound(page: Page) -> None:
    """Check that *page* is accessible and fits into its window."""
    await fits(page)
    results = await Axe().run(page)
    assert results.violations_count == 0, results.generate_report()


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page_of_accounts_is_accessible_in_every_state(
    visit: Visit, client: Client, viewport: Any, scheme: str
) -> None:
    visit.expect("401", "422")
    look = {"viewport": viewport, "color_scheme": scheme, "reduced_motion": "reduce"}
    first = await visit.open(await setup_path(client), **look)
    await is_sound(first)
    await first.get_by_label("Your name").fill("Ada")
    await first.get_by_label("E-mail").fill("ada@example.org")
    await first.get_by_label("Password").fill("ada ada ada ada")
    await first.keyboard.press("Enter")
    await expect(first.get_by_role("alert")).to_be_visible()
    await is_sound(first)

    page = await set_up(visit, client, **look)
    await page.goto(visit.url + "/account")
    await page.get_by_role("textbox", name="Name").fill("Deploy")
    await page.get_by_role("button", name="Create the token").click()
    await expect(page.locator(".secret")).to_contain_text("tocsin_pat_")
    await page.get_by_text("Change it").click()
    await is_sound(page)

    await page.goto(visit.url + "/accounts")
    await page.get_by_text("New account").click()
    await page.get_by_role("textbox", name="Name").fill("Bob " + 60 * "x")
    await page.get_by_label("E-mail of a person").fill("bob@example.org")
    await page.get_by_role("button", name="Create the account").click()
    await expect(page.locator(".secret")).to_contain_text("/choose-password?key=")
    await is_sound(page)

    guest = await visit.open("/incidents", **look)
    await expect(guest).to_have_url(re.compile(r"/login\?return_to=%2Fincidents$"))
    await is_sound(guest)
    await guest.get_by_label("E-mail").fill("ada@example.org")
    await guest.get_by_label("Password").fill("not the password")
    await guest.keyboard.press("Enter")
    await expect(guest.get_by_role("alert")).to_be_visible()
    await is_sound(guest)


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_audit_is_accessible_and_shows_what_has_changed(
    visit: Visit, client: Client, viewport: Any, scheme: str
) -> None:
    look = {"viewport": viewport, "color_scheme": scheme, "reduced_motion": "reduce"}
    page = await set_up(visit, client, **look)
    refused = given_entry(
        action="request.refused",
        principal={"kind": "nobody"},
        object={"kind": "route", "id": "r", "name": "PATCH /api/v1/incidents/{incident_id:[0-9A-Fa-f-]+}"},
        before=None,
        after={"status": 401},
        count=1_234,
    )
    long = given_entry(after={"title": 300 * "W"}, object={"kind": "incident", "id": "x", "name": "#7 " + 200 * "w"})
    await audit.store(app_of(client)[DEPS], [given_entry(), refused, long])
    await page.locator("header details.menu summary").click()
    await page.get_by_role("link", name="Audit").click()
    await expect(page.get_by_role("heading", name="Who changed what")).to_be_visible()
    await expect(page.get_by_role("row", name="1,234 times")).to_be_visible()
    for summary in await page.locator("details.data > summary").all():
        await summary.focus()
        await page.keyboard.press("Enter")
    await expect(page.locator(".diff ins").first).to_be_visible()
    await is_sound(page)
    await page.get_by_role("combobox", name="Action").select_option("incident.acknowledge")
    await page.get_by_role("button", name="Filter").click()
    await expect(page.locator("table.audit tbody tr")).to_have_count(2)
    await is_sound(page)
    async with page.expect_download() as started:
        await page.get_by_role("link", name="As CSV").click()
    assert (await started.value).suggested_filename.endswith(".csv")
    await page.goto(visit.url + "/audit?q=nothing+has+this+name")
    await expect(page.get_by_text("No entry matches this filter.")).to_be_visible()
    await is_sound(page)


async def test_from_log_in_to_resolved_with_the_keyboard_alone(
    visit: Visit, client: Client, services: Services
) -> None:
    services.fill()
    await set_up(visit, client)
    page = await visit.open("/incidents/2481")
    for key in ("ada@example.org", "Tab", PASSWORD, "Enter"):  # the e-mail field has the focus
        await (page.keyboard.press(key) if key in {"Tab", "Enter"} else page.keyboard.type(key))
    await expect(page).to_have_url(visit.url + "/incidents/2481")
    await live(page)
    await page.keyboard.press("r")
    await expect(page.locator("#timeline")).to_contain_text("Ada")
    assert "Ada" in {request.body["actor"] for request in services.incidents.requests if request.body}


async def test_logging_out_shows_the_log_in_and_no_page_any_more(visit: Visit, client: Client) -> None:
    page = await set_up(visit, client)
    await page.locator("header details.menu summary").click()
    await expect(page.get_by_role("link", name="Accounts")).to_be_visible()
    await page.get_by_role("button", name="Log out").click()
    await expect(page).to_have_url(visit.url + "/login")
    await page.goto(visit.url + "/analytics")
    await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
