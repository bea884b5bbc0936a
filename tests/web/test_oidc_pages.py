"""Log in by the company's OpenID provider, over HTTP: from the page to log in, to the provider, and back."""

import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio
from aiohttp import CookieJar

from tests.fakes.openid_provider import FakeOpenIDProvider, returns, without_end
from tests.support.ports import free_port
from tests.support.postgres import run
from tests.support.tcp_proxy import proxied_database
from tests.support.waiting import eventually
from tests.support.web.closed import ADA, PASSWORD, closed_settings, openid_settings, post_form, set_up
from tests.web.conftest import Client, StartWeb
from tocsin.web.access.service import DEPS


@pytest_asyncio.fixture(loop_scope="session")
async def provider() -> AsyncIterator[FakeOpenIDProvider]:
    async with FakeOpenIDProvider().serving() as serving:
        yield serving


@pytest_asyncio.fixture(loop_scope="session")
async def client(start_web: StartWeb, db_dsn: str, tmp_path: Path, provider: FakeOpenIDProvider) -> Client:
    """A browser that has logged out as Ada, whose account the provider's Ada can use."""
    return await start(start_web, db_dsn, tmp_path, provider)


async def start(start_web: StartWeb, dsn: str, folder: Path, provider: FakeOpenIDProvider, **given: Any) -> Client:
    port = free_port()
    settings = closed_settings(folder, dsn) | openid_settings(provider, port) | given
    client = await start_web(port=port, **settings)
    client.session._cookie_jar = CookieJar(unsafe=True)  # noqa: SLF001 - its address has no name
    await set_up(client)
    await post_form(client, "/logout")
    return client


async def follow(client: Client, url: str) -> tuple[int, str, str]:
    """GET *url* as a browser; return the status, the address that it redirects to, and the text."""
    async with client.session.get(url, allow_redirects=False, headers={"Accept": "text/html"}) as response:
        return response.status, response.headers.get("Location", ""), await response.text()


async def at_provider(client: Client, return_to: str = "/incidents/7") -> str:
    """Press the button of the page to log in; return the address at the provider."""
    page = await (await client.get("/login", params={"return_to": return_to})).text()
    button = re.search(r'href="([^"]+/login/oidc[^"]*)"[^>]*>.*Continue with Halyard', page)
    assert button
    status, location, text = await follow(client, unescape(button[1]))
    assert status == 303, text
    return location


async def back(client: Client, return_to: str = "/incidents/7") -> str:
    """Go to the provider, which logs in; return the address to which it sends the browser back."""
    status, location, text = await follow(client, await at_provider(client, return_to))
    assert status == 303, text
    return location


async def refusal(client: Client, status: int) -> str:
    """Log in, which is refused with *status*; return the page."""
    found, _, text = await follow(client, await back(client))
    assert found == status, text
    assert 'name="password"' in text, "the page to log in, where a password works"
    return unescape(text)


async def account_text(client: Client, status: int = 200) -> str:
    found, _, text = await follow(client, str(client.make_url("/account")))
    assert found == status
    return text


async def test_a_person_of_the_provider_logs_in_and_goes_on_to_the_page(
    client: Client, provider: FakeOpenIDProvider
) -> None:
    asked = await at_provider(client)
    query = parse_qs(urlsplit(asked).query)
    assert query["code_challenge_method"] == ["S256"]
    status, location, _ = await follow(client, await back(client))
    assert (status, location) == (303, "/incidents/7")
    assert "Halyard" in await account_text(client)
    assert provider.refused == []


async def test_the_cookie_is_for_this_browser_only_and_each_log_in_has_a_session_of_its_own(client: Client) -> None:
    secrets = set()
    for _ in range(2):
        callback = await back(client)
        async with client.session.get(callback, allow_redirects=False) as response:
            cookie = response.cookies["tocsin_session"]
            assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
            secrets.add(cookie.value)
        await post_form(client, "/logout")
    assert len(secrets) == 2


async def test_an_answer_is_good_once_and_in_the_browser_that_began(client: Client) -> None:
    callback = await back(client)
    own = {cookie.key: cookie.value for cookie in client.session.cookie_jar}
    client.session.cookie_jar.clear()
    status, _, text = await follow(client, callback)  # in the browser of somebody who was sent the link
    assert status == 403
    assert "was not begun in this browser" in text
    client.session.cookie_jar.update_cookies({"tocsin_oidc": own["tocsin_oidc"]}, client.make_url("/"))
    assert (await follow(client, callback))[:2] == (303, "/incidents/7")
    assert (await follow(client, callback))[:2] == (303, "/")  # clicked twice: the person is logged in
    await post_form(client, "/logout")
    assert (await follow(client, callback))[0] == 403
    assert (await follow(client, str(client.make_url("/login/oidc/callback"))))[0] == 403


async def test_two_tabs_can_log_in_one_after_the_other(client: Client) -> None:
    first, second = await back(client, "/alerts"), await back(client, "/oncall")
    assert (await follow(client, second))[1] == "/oncall"
    assert (await follow(client, first))[1] == "/alerts"


async def test_nobody_is_sent_to_another_site(client: Client) -> None:
    for page in ("https://evil.example/", "//evil.example", "/login/oidc"):
        assert (await follow(client, await back(client, page)))[:2] == (303, "/")
        await post_form(client, "/logout")


async def test_an_image_or_a_frame_of_a_page_begins_nothing(client: Client, provider: FakeOpenIDProvider) -> None:
    async with client.get("/login/oidc", headers={"Sec-Fetch-Dest": "image"}, allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (303, "/login")
    assert provider.asked == {}


async def test_who_has_no_account_is_refused_and_can_choose_another_one(
    client: Client, provider: FakeOpenIDProvider
) -> None:
    provider.person |= {"sub": "eve", "email": "eve@example.org"}
    text = await refusal(client, 403)
    assert "Ask an admin to add one" in text
    again = re.search(r'href="([^"]+prompt=select_account)"', text)
    assert again
    assert "prompt=select_account" in (await follow(client, unescape(again[1])))[1]
    await account_text(client, 303)


async def test_a_refusal_at_the_provider_is_shown(client: Client, provider: FakeOpenIDProvider) -> None:
    provider.answer = {"error": "access_denied"}
    assert "was cancelled" in await refusal(client, 403)
    provider.answer = {"error": "temporarily_unavailable"}
    assert "Halyard refused: temporarily_unavailable" in await refusal(client, 403)
    provider.answer = {"error": "<script>\u202e"}
    assert "unknown error" in await refusal(client, 403)


@pytest.mark.parametrize(
    ("part", "behaviour", "said"),
    [
        ("token", returns(500), "it refuses to say who you are"),
        ("token", returns(200, b"{}"), "its response cannot be read"),
        ("token", returns(200, b"[" * 100_000), "its response cannot be read"),
        ("token", returns(302, Location="http://127.0.0.1:1/"), "it refuses to say who you are"),
        ("token", without_end, "its response is too large"),
        ("keys", returns(404), "its keys cannot be found"),
        ("keys", returns(200, b'{"keys": []}'), "its response is not valid"),
    ],
)
async def test_what_a_provider_does_wrong_is_shown_and_a_password_works(
    client: Client, provider: FakeOpenIDProvider, part: str, behaviour: Any, said: str
) -> None:
    provider.behaviours[part] = behaviour
    text = await refusal(client, 503)
    assert said in text
    assert "Use your password" in text
    assert (await post_form(client, "/login", email=ADA["email"], password=PASSWORD)).status == 303


async def test_without_the_provider_the_page_says_so(start_web: StartWeb, db_dsn: str, tmp_path: Path) -> None:
    client = await start(start_web, db_dsn, tmp_path, FakeOpenIDProvider())
    status, _, text = await follow(client, str(client.make_url("/login/oidc?return_to=/alerts")))
    assert status == 503
    assert "it cannot be reached" in text
    assert 'value="/alerts"' in text


async def test_without_the_database_the_page_says_so_and_the_next_log_in_works(
    start_web: StartWeb, db_dsn: str, tmp_path: Path, provider: FakeOpenIDProvider
) -> None:
    async with proxied_database(db_dsn) as (proxy, dsn):
        client = await start(start_web, dsn, tmp_path, provider)
        callback = await back(client)
        await proxy.stop()
        for url in (str(client.make_url("/login/oidc")), callback):
            status, _, text = await follow(client, url)
            assert status == 503
            assert 'name="password"' in text
        await proxy.start()

        async def works() -> bool:
            return (await follow(client, callback))[:2] == (303, "/incidents/7")

        await eventually(works)


async def test_too_many_log_ins_that_do_not_come_back_have_to_wait(
    start_web: StartWeb, db_dsn: str, tmp_path: Path, provider: FakeOpenIDProvider
) -> None:
    client = await start(start_web, db_dsn, tmp_path, provider, address_failures_per_minute=2)
    for _ in range(3):  # those that come back do not count
        assert (await follow(client, await back(client)))[0] == 303
        await post_form(client, "/logout")
    await at_provider(client)
    await at_provider(client)
    async with client.get("/login/oidc", allow_redirects=False) as response:
        assert response.status == 429
        assert 0 < int(response.headers["Retry-After"]) <= 60
    assert (await post_form(client, "/login", email=ADA["email"], password=PASSWORD)).status == 303


async def test_who_has_a_password_can_unlink_and_who_has_none_cannot(
    client: Client, provider: FakeOpenIDProvider
) -> None:
    assert "Halyard" not in (await account_text(client, 303))
    await follow(client, await back(client))
    assert "Unlink" in await account_text(client)
    assert (await post_form(client, "/account/oidc/unlink", issuer=provider.issuer)).status == 303
    assert "Unlink" not in await account_text(client)
    assert (await post_form(client, "/account/oidc/unlink", issuer=provider.issuer)).status == 404


async def test_an_account_that_the_provider_created_is_active_and_cannot_unlink(
    start_web: StartWeb, db_dsn: str, tmp_path: Path, provider: FakeOpenIDProvider
) -> None:
    client = await start(start_web, db_dsn, tmp_path, provider, oidc_create_accounts_from="example.org")
    provider.person |= {"sub": "eve", "email": "eve@example.org", "name": "Eve"}
    assert (await follow(client, await back(client)))[0] == 303
    text = await account_text(client)
    assert "your only way to log in" in text
    assert "Unlink" not in text
    assert (await post_form(client, "/account/oidc/unlink", issuer=provider.issuer)).status == 409
    own = await (await client.get("/api/v1/account")).json()
    assert (own["name"], own["role"], own["has_password"], own["is_linked"]) == ("Eve", "viewer", False, True)
    await post_form(client, "/logout")
    await post_form(client, "/login", email=ADA["email"], password=PASSWORD)
    _, _, text = await follow(client, str(client.make_url("/accounts")))
    assert "2 people can log in" in text
    assert "has no password yet" not in text


async def test_without_a_provider_there_is_no_button_and_nothing_at_its_addresses(
    start_web: StartWeb, db_dsn: str, tmp_path: Path
) -> None:
    client = await start_web(**closed_settings(tmp_path, db_dsn))
    assert client.app is not None
    assert client.app[DEPS].provider is None
    assert "Continue with" not in await (await client.get("/login")).text()
    for path in ("/login/oidc", "/login/oidc/callback?code=x&state=y"):
        assert (await follow(client, str(client.make_url(path))))[0] == 404


async def test_links_accounts_and_roles_of_the_provider_are_in_the_audit(
    start_web: StartWeb, db_dsn: str, tmp_path: Path, provider: FakeOpenIDProvider
) -> None:
    given = {"oidc_roles": "sre=responder", "oidc_create_accounts_from": "example.org"}
    client = await start(start_web, db_dsn, tmp_path, provider, **given)
    provider.person |= {"sub": "bob", "email": "bob@example.org", "name": "Bob", "groups": ["sre"]}
    status, _, text = await follow(client, await back(client))
    assert status == 303, text
    found = run(db_dsn, "SELECT action, object_name, principal_name, after FROM access.audit ORDER BY id DESC LIMIT 3")
    assert [(row["action"], row["object_name"], row["principal_name"]) for row in reversed(found)] == [
        ("account.create", "Bob", "Bob"),
        ("provider.link", "Bob", "Bob"),
        ("log-in", "Bob", "Bob"),
    ]
    assert found[0]["after"] == {"method": "oidc"}
    assert found[1]["after"] == {"issuer": provider.issuer, "subject": "bob"}
