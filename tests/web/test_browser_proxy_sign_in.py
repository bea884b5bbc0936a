"""Sign-in by a proxy in a real browser: pages, then the log-out, from which one comes back with the keyboard alone."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.support.web.closed import closed_settings
from tests.support.web.demo_night import Services
from tests.support.web.visits import DESKTOP, PHONE, Visit
from tests.web.conftest import Client, StartWeb
from tests.web.test_browser_accounts import is_sound, set_up
from tests.web.test_proxy_sign_in import TRUSTED

pytestmark = [pytest.mark.slow, pytest.mark.sample("pages in a browser", 45)]


@pytest_asyncio.fixture(loop_scope="session")
async def client(start_web: StartWeb, db_dsn: str, tmp_path: Path) -> Client:
    """The web service in closed mode behind a proxy, without an account."""
    return await start_web(**closed_settings(tmp_path, db_dsn), **TRUSTED)


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: Browser, client: Client, services: Services) -> AsyncIterator[Visit]:
    visiting = Visit(browser, str(client.make_url("/")))
    yield visiting
    await visiting.close()
    services.incidents.cut_streams()
    assert visiting.complaints == []


@pytest.mark.parametrize(("viewport", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"])
async def test_a_proxy_logs_in_and_the_log_out_can_be_taken_back(
    visit: Visit, client: Client, viewport: Any, scheme: str
) -> None:
    visit.expect("403")
    look = {"viewport": viewport, "color_scheme": scheme, "reduced_motion": "reduce"}
    stated = {**look, "extra_http_headers": {"X-Forwarded-Email": "ada@example.org"}}
    await set_up(visit, client, **stated)
    page = await visit.open("/account", **stated)
    await expect(page.get_by_role("heading", name="You are logged in on 2 devices")).to_be_visible()
    await page.goto(visit.url + "/login")
    await expect(page).to_have_url(visit.url + "/")

    await page.context.clear_cookies()
    await page.goto(visit.url + "/login")
    await expect(page.get_by_role("button", name="Log in")).to_be_focused()
    await is_sound(page)
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(visit.url + "/")

    other = {**look, "extra_http_headers": {"X-Forwarded-Email": f"{40 * 'very.'}long@example.org"}}
    page = await visit.open("/login?return_to=/", **other)
    await expect(page.get_by_role("alert")).to_contain_text("An admin can add one")
    await is_sound(page)
