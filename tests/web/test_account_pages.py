"""The pages of accounts over HTTP: set-up, log-in, one's account, everybody's."""

import re
from pathlib import Path

import pytest_asyncio
from aiohttp import CookieJar

from tests.support.web.closed import ADA, PASSWORD, closed_settings, post_form, set_up, setup_path
from tests.web.conftest import Client, StartWeb

NEW_PASSWORD = "violet kelp orbit nine"  # noqa: S105 - of a made-up account
WRONG = "not the password"
WEAK = "password1234"
FIREFOX = {"User-Agent": "Mozilla/5.0 (Android 14; Mobile; rv:130.0) Gecko/130.0 Firefox/130.0"}


@pytest_asyncio.fixture(loop_scope="session")
async def client(start_web: StartWeb, db_dsn: str, tmp_path: Path) -> Client:
    started = await start_web(**closed_settings(tmp_path, db_dsn))
    started.session._cookie_jar = CookieJar(unsafe=True)  # noqa: SLF001 - its address has no name
    return started


async def text_of(client: Client, path: str, status: int = 200, **headers: str) -> str:
    async with client.get(path, headers={"Accept": "text/html", **headers}) as response:
        assert response.status == status, await response.text()
        return await response.text()


async def test_the_first_admin_enters_what_is_needed_and_the_link_dies_with_its_use(client: Client) -> None:
    path = await setup_path(client)
    assert "Create the first account" in await text_of(client, path)
    key = path.partition("key=")[2]
    for form, said in (
        ({**ADA, "name": " "}, "Enter your name."),
        ({**ADA, "email": "ada"}, "Enter your e-mail address."),
        ({**ADA, "password": WEAK}, "common"),
    ):
        response = await post_form(client, "/setup", **{"key": key, "password": PASSWORD, **form})
        assert response.status == 422
        assert said in await response.text()
    assert (await post_form(client, "/setup", key=key, password=PASSWORD, **ADA)).status == 303
    assert "You are logged in on one device" in await text_of(client, "/account")
    assert (await post_form(client, "/setup", key=key, password=PASSWORD, **ADA)).status == 404
    await text_of(client, path, 404)


async def test_a_log_in_goes_on_to_the_page_that_was_requested_and_to_no_other_site(client: Client) -> None:
    await set_up(client)
    async with client.get("/login?return_to=/alerts", allow_redirects=False) as response:
        assert response.headers["Location"] == "/alerts"  # already logged in
    assert (await post_form(client, "/logout")).headers["Location"] == "/login"
    assert (await post_form(client, "/logout")).status == 303
    assert "Then you go on to" in await text_of(client, "/login?return_to=/incidents/7")
    login = {"email": ADA["email"], "password": PASSWORD}
    for page, location in (("/incidents/7", "/incidents/7"), ("//evil.example", "/"), ("https://evil.example/", "/")):
        response = await post_form(client, "/login", return_to=page, **login)
        assert (response.status, response.headers["Location"]) == (303, location)
        cookie = response.cookies["tocsin_session"]
        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")


async def test_too_many_wrong_passwords_have_to_wait(client: Client) -> None:
    await set_up(client)
    await post_form(client, "/logout")
    for _ in range(10):
        response = await post_form(client, "/login", email=ADA["email"], password=WRONG)
        assert response.status == 401
        assert "wrong" in await response.text()
    response = await post_form(client, "/login", email=ADA["email"], password=PASSWORD)
    assert response.status == 429
    assert 0 < int(response.headers["Retry-After"]) <= 60


async def test_over_https_the_cookie_is_of_this_host_only(start_web: StartWeb, db_dsn: str, tmp_path: Path) -> None:
    client = await start_web(**closed_settings(tmp_path, db_dsn), public_url="https://tocsin.example")
    key = (await setup_path(client)).partition("key=")[2]
    cookie = (await post_form(client, "/setup", key=key, password=PASSWORD, **ADA)).cookies["__Host-tocsin_session"]
    assert cookie["secure"]


async def test_a_token_is_shown_once_and_revoked(client: Client) -> None:
    await set_up(client)
    response = await post_form(client, "/account/tokens", name="", may="read", expires="90")
    assert response.status == 422
    assert "Give the token a name" in await response.text()
    for may in ("read", "respond", "all"):
        response = await post_form(
            client, "/account/tokens", name=f"to {may}", may=may, expires="90" if may == "read" else ""
        )
        assert response.status == 200
        assert len(set(re.findall("tocsin_pat_[A-Za-z0-9_-]{43}", await response.text()))) == 1
    text = await text_of(client, "/account")
    assert not re.search("tocsin_pat_[A-Za-z0-9_-]{43}", text)
    assert all(words in text for words in ("read and handle incidents", "everything that the account may", "never"))
    token = re.search("/account/tokens/([^/]+)/revoke", text)
    assert token
    assert (await post_form(client, token[0])).status == 303
    assert (await post_form(client, token[0])).status == 404


async def test_log_ins_are_listed_and_ended(client: Client) -> None:
    await set_up(client)
    other = {"email": ADA["email"], "password": PASSWORD}
    own = {cookie.key: cookie.value for cookie in client.session.cookie_jar}
    for _ in range(2):
        async with client.post("/login", data=other, headers=FIREFOX, allow_redirects=False) as response:
            assert response.status == 303
        client.session.cookie_jar.update_cookies(own, client.make_url("/"))
    text = await text_of(client, "/account")
    assert text.count("Firefox on Android") == 2 * 2  # a name, and the label of its button
    ended = re.search('/account/sessions/[^/]+/end"', text)
    assert ended
    assert (await post_form(client, ended[0][:-1])).status == 303
    assert "logged in on 2 devices" in await text_of(client, "/account")
    assert (await post_form(client, "/account/sessions/end-others")).status == 303
    assert "logged in on one device" in await text_of(client, "/account")


async def test_a_new_password_needs_the_present_one(client: Client) -> None:
    await set_up(client)
    for form, status, said in (
        ({"present": WRONG, "new": NEW_PASSWORD}, 422, "not right"),
        ({"present": PASSWORD, "new": "ada ada ada ada"}, 422, "guess"),
    ):
        response = await post_form(client, "/account/password", **form)
        assert response.status == status
        assert said in (await response.text()).lower()
    assert (await post_form(client, "/account/password", present=PASSWORD, new=NEW_PASSWORD)).status == 303
    await text_of(client, "/account")
    await post_form(client, "/logout")
    assert (await post_form(client, "/login", email=ADA["email"], password=PASSWORD)).status == 401
    assert (await post_form(client, "/login", email=ADA["email"], password=NEW_PASSWORD)).status == 303


async def test_an_admin_invites_changes_and_disables(client: Client) -> None:
    await set_up(client)
    for form, said in (
        ({"name": "Bob", "email": "bob", "role": "viewer"}, "valid e-mail address"),
        ({"name": "Bob", "email": "", "role": "boss"}, "Enter a name"),
        ({"name": "Ada", "email": ADA["email"], "role": "viewer"}, ADA["email"]),
    ):
        response = await post_form(client, "/accounts", key="k", **form)
        assert response.status in {409, 422}
        assert said in await response.text()
    assert (await post_form(client, "/accounts", key="p", name="Robot", email="", role="sender")).status == 303
    response = await post_form(client, "/accounts", key="b", name="Bob", email="bob@example.org", role="viewer")
    first = re.search("/choose-password[?]key=([A-Za-z0-9_-]+)", await response.text())
    text = await text_of(client, "/accounts")
    assert all(
        words in text for words in ("1 person can log in", "1 program has an account", "1 person has not chosen")
    )
    bob = re.search('/accounts/([^/"]+)/link', text.partition("bob@example.org")[2])
    assert first
    assert bob
    path = f"/accounts/{bob[1]}"
    again = re.search("/choose-password[?]key=([A-Za-z0-9_-]+)", await (await post_form(client, f"{path}/link")).text())
    assert again
    await text_of(client, first[0], 404)
    assert "Choose a password" in await text_of(client, again[0])
    assert (await post_form(client, path, role="boss")).status == 422
    assert (await post_form(client, path, role="responder", version="99")).status == 412
    assert (await post_form(client, path, role="responder", version="1")).status == 303

    weak = await post_form(client, "/choose-password", key=again[1], password=WEAK)
    assert weak.status == 422
    assert (await post_form(client, "/choose-password", key=again[1], password=NEW_PASSWORD)).status == 303
    assert (await post_form(client, "/choose-password", key=again[1], password=NEW_PASSWORD)).status == 404
    assert "Back to Now" in await text_of(client, "/accounts", 403)  # it is Bob now
    setup = re.search("key=(.*)", again[0])
    assert setup
    await post_form(client, "/login", email=ADA["email"], password=PASSWORD)
    assert (await post_form(client, path, disabled="yes")).status == 303
    assert (await post_form(client, f"{path}/link")).status == 409
    assert "disabled" in await text_of(client, "/accounts")
    assert (await post_form(client, path, disabled="no")).status == 303
    own = re.search('/accounts/([^/"]+)/link', (await text_of(client, "/accounts")).partition("ada@example.org")[2])
    assert own
    last = await post_form(client, f"/accounts/{own[1]}", role="viewer")
    assert last.status == 409
    assert "last admin" in await last.text()


async def test_a_link_of_one_kind_opens_no_page_of_the_other(client: Client) -> None:
    key = (await setup_path(client)).partition("key=")[2]
    await text_of(client, f"/choose-password?key={key}", 404)
    assert (await post_form(client, "/choose-password", key=key, password=PASSWORD)).status == 404
