"""Log in by the company's OpenID provider in a real browser, to the page that was requested."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.fakes.openid_provider import FakeOpenIDProvider
from tests.support.ports import free_port
from tests.support.web.closed import ADA, PASSWORD, closed_settings, openid_settings, post_form, set_up
from tests.support.web.demo_night import Services
from tests.support.web.visits import DESKTOP, PHONE, Visit
from tests.web.conftest import Client, StartWeb
from tests.web.test_browser_accounts import is_sound

pytestmark = [pytest.mark.slow, pytest.mark.sample("pages in a browser", 45)]


@pytest_asyncio.fixture(loop_scope="session")
async def provider() -> AsyncIterator[FakeOpenIDProvider]:
    async with FakeOpenIDProvider().serving() as serving:
        serving.shows_form = True
        yield serving


@pytest_asyncio.fixture(loop_scope="session")
async def client(start_web: StartWeb, db_dsn: str, tmp_path: Path, provider: FakeOpenIDProvider) -> Client:
    """The web service with the provider, and an account of Ada."""
    port = free_port()
    client = await start_web(port=port, **closed_settings(tmp_path, db_dsn), **openid_settings(provider, port))
    await set_up(client)
    return client


@pytest_asyncio.fixture(loop_scope="session")
async def visit(
    browser: Browser, client: Client, provider: FakeOpenIDProvider, services: Services
) -> AsyncIterator[Visit]:
    visiting = Visit(browser, str(client.make_url("/")))
    visiting.expect(f"requested another host: {provider.issuer}")
    yield visiting
    await visiting.close()
    services.incidents.cut_streams()
    assert visiting.complaints == []


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_pages_of_a_log_in_by_the_provider_are_accessible_in_every_state(
    visit: Visit, provider: FakeOpenIDProvider, viewport: Any, scheme: str
) -> None:
    visit.expect("403")
    page = await visit.open("/login", viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
    await is_sound(page)
    provider.person |= {"sub": "eve", "email": "eve@example.org"}
    await page.get_by_role("link", name="Continue with Halyard").click()
    await page.get_by_role("button", name="I am Ada").click()
    await expect(page.get_by_role("alert")).to_contain_text("Ask an admin to add one")
    await is_sound(page)
    provider.person |= {"sub": "ada", "email": ADA["email"]}
    await page.get_by_role("link", name="Continue with Halyard").click()
    await page.get_by_role("button", name="I am Ada").click()
    await expect(page).to_have_url(f"{visit.url}/")
    await page.goto(f"{visit.url}/account")
    await expect(page.get_by_role("heading", name="Company log-in")).to_be_visible()
    await is_sound(page)


async def test_from_a_page_through_the_provider_and_back_with_the_keyboard_alone(
    visit: Visit, services: Services
) -> None:
    services.fill()
    page = await visit.open("/incidents/2481")
    await expect(page).to_have_url(re.compile("/login"))
    await page.get_by_role("link", name="Continue with Halyard").focus()
    await page.keyboard.press("Enter")
    await page.get_by_role("button", name="I am Ada").focus()
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(f"{visit.url}/incidents/2481")


async def test_without_scripts_the_way_is_the_same(visit: Visit) -> None:
    page = await visit.open("/login?return_to=/alerts", java_script_enabled=False)
    await page.get_by_role("link", name="Continue with Halyard").click()
    await page.get_by_role("button", name="I am Ada").click()
    await expect(page).to_have_url(f"{visit.url}/alerts")
    await page.goto(f"{visit.url}/account")
    await page.get_by_role("button", name="Unlink").click()
    await expect(page.get_by_role("heading", name="Company log-in")).to_have_count(0)


async def test_a_link_of_somebody_elses_log_in_logs_nobody_in(
    visit: Visit, client: Client, provider: FakeOpenIDProvider
) -> None:
    visit.expect("403")
    provider.shows_form = False
    await post_form(client, "/logout")
    sent = str(client.make_url("/login/oidc"))
    for _ in range(2):  # to the provider, and to where it sends the browser back
        async with client.session.get(sent, allow_redirects=False) as response:
            sent = response.headers["Location"]
    assert "/login/oidc/callback?code=" in sent
    page = await visit.open(sent.removeprefix(visit.url))
    await expect(page.get_by_role("alert")).to_contain_text("was not begun in this browser")
    await page.get_by_label("E-mail").fill(ADA["email"])
    await page.get_by_label("Password").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(f"{visit.url}/")
