"""Passkeys in a real browser, with an authenticator that the browser simulates."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, CDPSession, Page, Route, expect

from tests.support.ports import free_port
from tests.support.postgres import run
from tests.support.web.closed import PASSWORD, closed_settings
from tests.support.web.demo_night import Services
from tests.support.web.visits import DESKTOP, PHONE, Visit
from tests.web.conftest import Client, StartWeb
from tests.web.test_browser_accounts import is_sound, set_up

pytestmark = [pytest.mark.slow, pytest.mark.sample("pages in a browser", 45)]
WRONG: Final = "not the password"
PHONE_WITH_FINGERPRINT: Final = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
WITHOUT_JSON: Final = """
if (window.PublicKeyCredential) {
  delete PublicKeyCredential.parseCreationOptionsFromJSON;
  delete PublicKeyCredential.parseRequestOptionsFromJSON;
  delete PublicKeyCredential.prototype.toJSON;
}
"""


@pytest_asyncio.fixture(loop_scope="session")
async def client(start_web: StartWeb, db_dsn: str, tmp_path: Path) -> Client:
    """The web service in closed mode at a host name, without an account."""
    port = free_port()
    return await start_web(**closed_settings(tmp_path, db_dsn), port=port, public_url=f"http://localhost:{port}")


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: Browser, client: Client, services: Services) -> AsyncIterator[Visit]:
    visiting = Visit(browser, f"http://localhost:{client.port}")
    yield visiting
    await visiting.close()
    services.incidents.cut_streams()
    assert visiting.complaints == []


class Authenticator:
    """The device of a page's user."""

    def __init__(self, session: CDPSession, identifier: str) -> None:
        self._session = session
        self._id = identifier

    @classmethod
    async def of(cls, page: Page) -> "Authenticator":
        session = await page.context.new_cdp_session(page)
        await session.send("WebAuthn.enable")
        added = await session.send("WebAuthn.addVirtualAuthenticator", {"options": PHONE_WITH_FINGERPRINT})
        return cls(session, added["authenticatorId"])

    async def verifies(self, *, user: bool) -> None:
        """Let the user be recognised by the device, or not."""
        given = {"authenticatorId": self._id, "isUserVerified": user}
        await self._session.send("WebAuthn.setUserVerified", given)

    async def credentials(self) -> list[dict[str, Any]]:
        found = await self._session.send("WebAuthn.getCredentials", {"authenticatorId": self._id})
        listed: list[dict[str, Any]] = found["credentials"]
        return listed


async def add_passkey(page: Page, visit: Visit, name: str = "Phone", password: str = PASSWORD) -> None:
    """Fill in the form for a passkey, and submit it with the keyboard."""
    await page.goto(visit.url + "/account")
    await page.get_by_text("Add a passkey").click()
    form = page.locator("form[data-passkey]")
    await form.get_by_label("Name").fill(name)
    await form.get_by_label("Your password").fill(password)
    await page.keyboard.press("Enter")


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_from_the_first_passkey_through_log_out_to_a_log_in_by_it_alone(
    visit: Visit, client: Client, viewport: Any, scheme: str
) -> None:
    page = await set_up(visit, client, viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
    device = await Authenticator.of(page)
    await add_passkey(page, visit)
    await expect(page.get_by_role("button", name="Remove passkey Phone")).to_be_visible()
    await expect(page.get_by_text("never used")).to_be_visible()
    await page.get_by_text("Add a passkey").click()
    await is_sound(page)
    assert len(await device.credentials()) == 1

    await page.locator("header details.menu summary").click()
    await page.get_by_role("button", name="Log out").click()
    await page.goto(visit.url + "/analytics")
    button = page.get_by_role("button", name="Log in with a passkey")
    await is_sound(page)
    box = await button.bounding_box()
    assert box
    assert box["height"] >= 44
    await button.press("Enter")
    await expect(page).to_have_url(visit.url + "/analytics")
    await page.goto(visit.url + "/account")
    await expect(page.get_by_text("never used")).to_have_count(0)
    await page.get_by_role("button", name="Remove passkey Phone").click()
    await expect(page.get_by_role("button", name="Remove passkey Phone")).to_have_count(0)


async def test_a_browser_without_the_newest_functions_does_the_same(visit: Visit, client: Client) -> None:
    page = await set_up(visit, client, first=WITHOUT_JSON)
    await Authenticator.of(page)
    await add_passkey(page, visit)
    await expect(page.get_by_role("button", name="Remove passkey Phone")).to_be_visible()
    await page.context.clear_cookies()
    await page.goto(visit.url + "/login")
    await page.get_by_role("button", name="Log in with a passkey").click()
    await expect(page).to_have_url(visit.url + "/")


async def test_what_fails_or_is_cancelled_is_said_beside_the_button_and_the_focus_stays(
    visit: Visit, client: Client
) -> None:
    visit.expect("401", "422", "net::ERR_FAILED")
    page = await set_up(visit, client)
    device = await Authenticator.of(page)
    said = page.locator("form[data-passkey] [role=alert]")
    await add_passkey(page, visit, password=WRONG)
    await expect(said).to_have_text("The password is not right.")
    assert await page.evaluate("document.activeElement.name") == "password"
    await device.verifies(user=False)
    await add_passkey(page, visit)
    await expect(said).to_contain_text("No passkey was created")
    await is_sound(page)
    await device.verifies(user=True)
    await page.keyboard.press("Enter")  # what was entered is still there
    await expect(page.get_by_role("button", name="Remove passkey Phone")).to_be_visible()
    await add_passkey(page, visit)
    await expect(said).to_contain_text("has a passkey of your account already")

    await page.context.clear_cookies()
    await page.goto(visit.url + "/login")
    button = page.get_by_role("button", name="Log in with a passkey")
    await device.verifies(user=False)
    await button.press("Enter")
    await expect(said).to_contain_text("No passkey was used")
    await expect(button).to_be_focused()
    await is_sound(page)

    async def fail(route: Route) -> None:
        await route.abort()

    await page.route("**/login/passkey/options", fail)
    await button.press("Enter")
    await expect(said).to_contain_text("cannot be reached")
    await page.unroute("**/login/passkey/options")
    await page.evaluate("delete window.PublicKeyCredential")
    await button.press("Enter")
    await expect(said).to_contain_text("does not support passkeys")


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_why_the_last_way_to_log_in_was_not_removed_is_in_view(
    visit: Visit, client: Client, db_dsn: str, viewport: Any
) -> None:
    visit.expect("409")
    page = await set_up(visit, client, viewport=viewport)
    await Authenticator.of(page)
    await add_passkey(page, visit)
    button = page.get_by_role("button", name="Remove passkey Phone")
    await expect(button).to_be_visible()
    run(db_dsn, "UPDATE access.account SET password_hash = NULL")
    await button.click()
    await expect(page.get_by_role("alert").first).to_contain_text("only way to log in")
    await expect(page.get_by_role("alert").first).to_be_in_viewport()
    await is_sound(page)


async def test_a_passkey_that_was_removed_here_is_refused_with_the_reason(visit: Visit, client: Client) -> None:
    visit.expect("401")
    page = await set_up(visit, client)
    await Authenticator.of(page)
    await add_passkey(page, visit)
    await page.get_by_role("button", name="Remove passkey Phone").click()
    await expect(page.get_by_role("button", name="Remove passkey Phone")).to_have_count(0)
    await page.context.clear_cookies()
    await page.goto(visit.url + "/login")
    await page.get_by_role("button", name="Log in with a passkey").click()
    await expect(page.get_by_role("alert")).to_contain_text("was not accepted")
    await expect(page.get_by_role("button", name="Log in with a passkey")).to_be_focused()
    await is_sound(page)


async def test_at_another_address_the_page_says_where_passkeys_work(visit: Visit) -> None:
    visit.expect("requested another host")
    page = await visit.open("/login")
    await page.goto(visit.url.replace("localhost", "127.0.0.1") + "/login")
    await page.get_by_role("button", name="Log in with a passkey").click()
    await expect(page.get_by_role("alert")).to_have_text(
        f"Passkeys work at {visit.url} only. Open Tocsin at that address."
    )


async def test_two_clicks_ask_once(visit: Visit, client: Client) -> None:
    await set_up(visit, client)
    page = await visit.open("/login")
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "options" in request.url else None)
    await (await Authenticator.of(page)).verifies(user=False)
    await page.get_by_role("button", name="Log in with a passkey").dblclick()
    await expect(page.get_by_role("alert")).to_contain_text("No passkey was used")
    assert len(asked) == 1


async def test_without_scripts_passkeys_are_not_offered(visit: Visit) -> None:
    page = await visit.open("/login", java_script_enabled=False)
    await expect(page.get_by_role("button", name="Log in", exact=True)).to_be_visible()
    await expect(page.get_by_role("button", name="Log in with a passkey")).to_be_hidden()
