"""Sign-in by a proxy that authenticates people: only what a trusted one states counts, and only for an account."""

import base64
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import pytest_asyncio
from aiohttp import ClientResponse, CookieJar
from pydantic import ValidationError

from tests.fakes.upstream import FakeUpstream
from tests.kernel.test_client_address import EDGE_KEY, stated
from tests.support.web.closed import ADA, PASSWORD, closed_settings, post_form, set_up
from tests.web.conftest import URLS, Client, StartWeb
from tocsin.web.settings import Settings

BOB = {"name": "Bob", "email": "bob@example.org", "role": "responder"}
TRUSTED = {"trusted_proxies": "127.0.0.1", "remote_user_header": "X-Forwarded-Email"}
BEHIND_EDGE = {**TRUSTED, "trusted_proxies": "10.0.0.0/8", "edge_key": EDGE_KEY}
PAGE = {"Accept": "text/html"}
Start: TypeAlias = Callable[..., Awaitable[Client]]


def user(email: str) -> Mapping[str, str]:
    """Return the headers of a page that the proxy requests for somebody."""
    return {**PAGE, "X-Forwarded-Email": email}


def claims_of(authorization: str) -> dict[str, Any]:
    """Return what a service has signed."""
    payload = authorization.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


@pytest_asyncio.fixture(loop_scope="session")
async def start(start_web: StartWeb, db_dsn: str, tmp_path: Path) -> Start:
    """Start the web service with the accounts of Ada and Bob, and a browser that has not logged in."""

    async def start(**settings: str) -> Client:
        started = await start_web(**closed_settings(tmp_path, db_dsn), **settings)
        started.session._cookie_jar = CookieJar(unsafe=True)  # noqa: SLF001 - its address has no name
        known = {} if "edge_key" in settings else user(ADA["email"])
        started.session.headers.update(known)
        await set_up(started)
        async with started.post("/api/v1/accounts", json={"kind": "person", **BOB}) as response:
            assert response.status == 201, await response.text()
        for name in known:
            del started.session.headers[name]
        started.session.cookie_jar.clear()
        return started

    return start


async def get(client: Client, path: str, headers: Mapping[str, str], *, follow: bool = False) -> ClientResponse:
    async with client.get(path, headers=headers, allow_redirects=follow) as response:
        await response.read()
        return response


async def name_on(client: Client, headers: Mapping[str, str], path: str = "/account") -> str:
    """Open a page as a browser does; return whose account it shows, empty for the page to log in."""
    response = await get(client, path, headers, follow=True)
    assert response.status == 200, await response.text()
    found = re.search("<dt>Name</dt><dd>([^<]*)</dd>", await response.text())
    return found[1] if found else ""


async def test_whom_a_trusted_proxy_states_is_logged_in_on_the_way_to_a_page(start: Start) -> None:
    client = await start(**TRUSTED)
    assert await name_on(client, user("bob@example.org")) == "Bob"
    first = {cookie.key: cookie.value for cookie in client.session.cookie_jar}
    assert await name_on(client, user("BOB@Example.org")) == "Bob"
    assert {cookie.key: cookie.value for cookie in client.session.cookie_jar} == first, "the session goes on"
    text = await (await get(client, "/account", user("bob@example.org"))).text()
    assert "logged in on one device" in text


async def test_the_session_is_of_no_use_without_the_proxy_and_for_nobody_else(start: Start) -> None:
    client = await start(**TRUSTED)
    assert await name_on(client, user("bob@example.org")) == "Bob"
    assert (await get(client, "/account", PAGE)).status == 303, "the proxy states nobody any more"
    assert (await get(client, "/account", user(""))).status == 303
    assert (await get(client, "/account", user(ADA["email"]))).status == 303
    assert await name_on(client, user(ADA["email"])) == "Ada"
    # Without its mark, the secret is another one.
    (cookie,) = client.session.cookie_jar
    client.session.cookie_jar.update_cookies({cookie.key: cookie.value.removeprefix("proxy.")}, client.make_url("/"))
    assert (await get(client, "/account", PAGE)).status == 303
    assert (await get(client, "/account", user(ADA["email"]))).status == 303


async def test_a_session_by_password_is_valid_without_the_proxy_and_for_its_own_account_only(start: Start) -> None:
    client = await start(**TRUSTED)
    response = await post_form(client, "/login", email=ADA["email"], password=PASSWORD)
    assert response.status == 303
    assert await name_on(client, PAGE) == "Ada"
    assert await name_on(client, user(ADA["email"])) == "Ada"
    assert (await get(client, "/account", user("bob@example.org"))).status == 303


@pytest.mark.parametrize(
    ("settings", "headers"),
    [
        ({}, user("bob@example.org")),
        ({**TRUSTED, "trusted_proxies": "10.0.0.0/8"}, user("bob@example.org")),
        ({**TRUSTED, "trusted_proxies": "10.0.0.0/8"}, {**user("bob@example.org"), "X-Forwarded-For": "10.0.0.1"}),
        (BEHIND_EDGE, user("bob@example.org")),
        (BEHIND_EDGE, {**user("bob@example.org"), "Tocsin-Client-Address": stated("203.0.113.9")}),
        (BEHIND_EDGE, {**user("bob@example.org"), "Tocsin-Client-Address": "10.0.0.3"}),
        ({**BEHIND_EDGE, "trusted_proxies": "127.0.0.1"}, user("bob@example.org")),
        (TRUSTED, {**PAGE, "X-Remote-User": "bob@example.org"}),
    ],
)
async def test_what_anybody_else_states_is_ignored(
    start_web: StartWeb, db_dsn: str, tmp_path: Path, settings: dict[str, str], headers: dict[str, str]
) -> None:
    client = await start_web(**closed_settings(tmp_path, db_dsn), **settings)
    response = await get(client, "/login?return_to=/account", headers)
    assert response.status == 200
    assert 'name="password"' in await response.text(), "the form for a password, not what the proxy states"
    assert not response.cookies


async def test_the_proxy_may_be_in_front_of_the_edge(start: Start) -> None:
    client = await start(**BEHIND_EDGE)
    proxied = {**user("bob@example.org"), "Tocsin-Client-Address": stated("10.0.0.3")}
    assert await name_on(client, {**proxied, "X-Forwarded-For": "198.51.100.66, 203.0.113.9"}) == "Bob"
    text = await (await get(client, "/account", {**proxied, "X-Forwarded-For": "203.0.113.7"})).text()
    assert ("203.0.113.9" in text, "198.51.100.66" in text) == (True, False)


@pytest.mark.parametrize(
    "email", ["eve@example.org", "bob@example.org, ada@example.org", "Bob", "b\udce9b@example.org", "x" * 999]
)
async def test_without_an_account_nobody_gets_in_and_nothing_is_created(start: Start, email: str) -> None:
    client = await start(**TRUSTED)
    response = await get(client, "/login?return_to=/", user(email))
    assert response.status == 403
    assert "An admin can add one" in " ".join((await response.text()).split())
    assert not response.cookies
    assert (await get(client, "/", user(email))).headers["Location"] == "/login?return_to=%2F"


async def test_two_headers_are_nobody(start: Start) -> None:
    client = await start(**TRUSTED)
    headers = [("X-Forwarded-Email", "bob@example.org"), ("X-Forwarded-Email", "bob@example.org")]
    async with client.get("/login?return_to=/", headers=headers) as response:
        assert response.status == 403


async def test_a_disabled_account_is_out_at_once(start: Start) -> None:
    client = await start(**TRUSTED)
    admin = user(ADA["email"])
    assert await name_on(client, admin) == "Ada"
    async with client.get("/api/v1/accounts", headers=admin) as response:
        bob = next(each for each in (await response.json())["items"] if each["name"] == "Bob")
    ada = {cookie.key: cookie.value for cookie in client.session.cookie_jar}
    assert await name_on(client, user("bob@example.org")) == "Bob"
    headers = {**admin, "Cookie": "; ".join(f"{key}={value}" for key, value in ada.items())}
    bobs = {cookie.key: cookie.value for cookie in client.session.cookie_jar}
    client.session.cookie_jar.clear()
    async with client.patch(f"/api/v1/accounts/{bob['id']}", json={"disabled": True}, headers=headers) as response:
        assert response.status == 200, await response.text()
    client.session.cookie_jar.update_cookies(bobs, client.make_url("/"))
    assert (await get(client, "/account", user("bob@example.org"))).status == 303
    assert (await get(client, "/login?return_to=/", user("bob@example.org"))).status == 403


async def test_a_log_out_stays_one_until_somebody_logs_in_again(start: Start) -> None:
    client = await start(**TRUSTED)
    bob = user("bob@example.org")
    assert await name_on(client, bob) == "Bob"
    async with client.post("/logout", headers=bob) as response:
        text = await response.text()
        assert (response.status, "bob@example.org" in text) == (200, True)
    assert 'name="return_to" value="/"' in text
    assert 'name="password"' not in text, "another account than the stated one could not be used"
    assert not list(client.session.cookie_jar)
    assert (await get(client, "/login?return_to=/", bob)).headers["Location"] == "/"


async def test_what_a_page_of_another_site_includes_begins_no_session(start: Start) -> None:
    client = await start(**TRUSTED)
    bob = user("bob@example.org")
    for mode, status in (("no-cors", 200), ("cors", 200), ("navigate", 303)):
        foreign = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": mode}
        response = await get(client, "/login?return_to=/", {**bob, **foreign})
        assert (response.status, bool(response.cookies)) == (status, status == 303)


async def test_the_proxy_may_send_credentials_of_its_own_and_a_token_takes_precedence(start: Start) -> None:
    client = await start(**TRUSTED)
    bob = user("bob@example.org")
    assert await name_on(client, {**bob, "Authorization": "Basic Ym9iOng="}) == "Bob"
    async with client.get("/api/v1/account", headers={**bob, "Authorization": "Bearer tocsin_pat_x"}) as response:
        assert response.status == 401
    async with client.get("/api/v1/account", headers={**PAGE, "Authorization": "Basic Ym9iOng="}) as response:
        assert response.status == 401


async def test_the_services_do_not_get_the_header(start: Start, upstream: FakeUpstream) -> None:
    client = await start(**TRUSTED, **dict.fromkeys(URLS, upstream.url))
    assert await name_on(client, user("bob@example.org")) == "Bob"
    async with client.get("/api/v1/alerts", headers=user("bob@example.org")) as response:
        assert response.status == 200
    assert [name for name in upstream.forwarded[-1]["headers"] if "Forwarded" in name] == []


async def test_the_services_learn_from_where_somebody_makes_a_request(start: Start, upstream: FakeUpstream) -> None:
    client = await start(**TRUSTED, **dict.fromkeys(URLS, upstream.url))
    bob = {**user("bob@example.org"), "X-Forwarded-For": "203.0.113.9"}
    assert await name_on(client, bob) == "Bob"
    async with client.get("/api/v1/alerts", headers=bob) as response:  # through the gateway
        assert response.status == 200
    await get(client, "/alerts", bob)  # by calls of the page
    claims = [claims_of(request["headers"]["Authorization"]) for request in upstream.forwarded[-2:]]
    assert [(each["act"]["name"], each["client"]) for each in claims] == [("Bob", "203.0.113.9")] * 2


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"remote_user_header": "X-User", "access": "closed"}, "TRUSTED_PROXIES"),
        ({"remote_user_header": "X-User", "trusted_proxies": "10.0.0.1"}, "ACCESS=closed"),
        ({"remote_user_header": "Cookie", "trusted_proxies": "10.0.0.1", "access": "closed"}, "cannot be Cookie"),
        ({"remote_user_header": "X User", "trusted_proxies": "10.0.0.1", "access": "closed"}, "String should match"),
    ],
)
def test_a_header_that_nobody_may_send_is_refused_at_the_start(given: dict[str, str], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        Settings.model_validate(given)
