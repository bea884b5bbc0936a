"""Passkeys over HTTP: what the pages' script exchanges with the server, and the API."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import CookieJar

from tests.support.ports import free_port
from tests.support.postgres import run
from tests.support.tcp_proxy import proxied_database
from tests.support.waiting import eventually
from tests.support.web.authenticator import Device
from tests.support.web.closed import ADA, PASSWORD, closed_settings, post_form, set_up
from tests.web.conftest import Client, StartWeb
from tocsin.web.access.domain.bearer_secrets import BYTES
from tocsin.web.access.service.passkey_login import WRONG

ADD = {"name": "Phone", "password": PASSWORD}


@pytest_asyncio.fixture(loop_scope="session")
async def client(start_web: StartWeb, db_dsn: str, tmp_path: Path) -> Client:
    port = free_port()
    given = {"public_url": f"http://localhost:{port}", "allowed_hosts": "tocsin.other"}
    started = await start_web(**closed_settings(tmp_path, db_dsn), port=port, **given)
    started.session._cookie_jar = CookieJar(unsafe=True)  # noqa: SLF001 - its address has no name
    await set_up(started)
    return started


def device_of(client: Client) -> Device:
    return Device(origin=f"http://localhost:{client.port}")


async def options_of(client: Client, path: str, form: Mapping[str, str] = {}, *, status: int = 200) -> Any:
    async with client.post(f"{path}/options", data=dict(form)) as response:
        assert response.status == status, await response.text()
        return await response.json()


async def add(client: Client, device: Device) -> None:
    options = await options_of(client, "/account/passkeys", ADD)
    response = await post_form(client, "/account/passkeys", name="Phone", credential=device.create(options))
    assert (response.status, response.headers.get("Location")) == (303, "/account"), await response.text()


async def text_of(client: Client, path: str) -> str:
    async with client.get(path, headers={"Accept": "text/html"}) as response:
        assert response.status == 200
        return await response.text()


async def test_from_the_account_through_log_out_to_the_page_that_was_requested(client: Client) -> None:
    device = device_of(client)
    await add(client, device)
    assert "never used" in await text_of(client, "/account")
    await post_form(client, "/logout")
    options = await options_of(client, "/login/passkey")
    response = await post_form(client, "/login/passkey", credential=device.get(options), return_to="/incidents/7")
    assert (response.status, response.headers["Location"]) == (303, "/incidents/7")
    assert response.cookies["tocsin_session"]["httponly"]
    assert response.cookies["tocsin_challenge"]["max-age"] == "0"
    text = await text_of(client, "/account")
    assert "never used" not in text
    removal = re.search("/account/passkeys/[^/]+/remove", text)
    assert removal
    assert (await post_form(client, removal[0])).status == 303
    assert (await post_form(client, removal[0])).status == 404
    await post_form(client, "/logout")
    options = await options_of(client, "/login/passkey")
    response = await post_form(client, "/login/passkey", credential=device.get(options), return_to="/alerts")
    assert response.status == 401
    text = await response.text()
    assert (WRONG in text, 'value="/alerts"' in text, "wrong" in text) == (True, True, False)
    assert (await post_form(client, "/login/passkey")).status == 401  # as without scripts


async def test_the_challenge_is_bound_to_the_browser_by_a_cookie_that_no_script_reads(client: Client) -> None:
    async with client.post("/login/passkey/options") as response:
        cookie = response.cookies["tocsin_challenge"]
        assert len(cookie.value) > BYTES
        assert cookie.value not in await response.text()
        assert response.headers["Cache-Control"] == "no-store"
    assert (cookie["httponly"], cookie["samesite"], cookie["max-age"], cookie["path"]) == (True, "Strict", "300", "/")
    device = device_of(client)
    options = await options_of(client, "/account/passkeys", ADD)
    client.session.cookie_jar.clear(lambda morsel: morsel.key == "tocsin_challenge")
    response = await post_form(client, "/account/passkeys", name="Phone", credential=device.create(options))
    assert response.status == 422
    assert "five minutes" in await response.text()


async def test_over_https_the_cookie_is_of_this_host_only(start_web: StartWeb, db_dsn: str, tmp_path: Path) -> None:
    client = await start_web(**closed_settings(tmp_path, db_dsn), public_url="https://tocsin.example")
    async with client.post("/login/passkey/options") as response:
        assert response.cookies["__Host-tocsin_challenge"]["secure"]
        assert (await response.json())["rpId"] == "tocsin.example"


async def test_what_is_wrong_is_said_before_the_browser_is_asked(client: Client) -> None:
    for form, status, said in (
        ({"name": " ", "password": PASSWORD}, 422, "name"),
        ({"name": "x" * 300, "password": PASSWORD}, 422, "name"),
        ({"name": "Phone", "password": "wrong"}, 422, "not right"),
        ({"name": "Phone"}, 422, "not right"),
    ):
        problem = await options_of(client, "/account/passkeys", form, status=status)
        assert said in problem["detail"]
    device = device_of(client)
    await add(client, device)
    options = await options_of(client, "/account/passkeys", ADD)
    twice = await post_form(client, "/account/passkeys", name="Phone", credential=device.create(options))
    assert twice.status == 409
    assert "added already" in await twice.text()


async def test_a_locked_log_in_says_that_a_passkey_works_and_it_does(client: Client) -> None:
    device = device_of(client)
    await add(client, device)
    await post_form(client, "/logout")
    wrong = {"email": ADA["email"], "password": "not the password"}
    for _ in range(10):
        assert (await post_form(client, "/login", **wrong)).status == 401
    locked = await post_form(client, "/login", **wrong)
    assert locked.status == 429
    assert "A passkey works now." in await locked.text()
    options = await options_of(client, "/login/passkey")
    assert (await post_form(client, "/login/passkey", credential=device.get(options))).status == 303


async def test_a_page_of_another_site_begins_nothing(client: Client) -> None:
    for path in ("/login/passkey", "/login/passkey/options", "/account/passkeys", "/account/passkeys/options"):
        for foreign in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
            async with client.post(path, headers=foreign) as response:
                assert response.status == 403, path


async def test_only_the_host_of_public_url_has_passkeys_whatever_name_the_request_has(client: Client) -> None:
    async with client.post("/login/passkey/options", headers={"Host": "tocsin.other"}) as response:
        assert (await response.json())["rpId"] == "localhost"
        options = await response.json()
    device = device_of(client).but(origin="http://tocsin.other", rp_id="tocsin.other")
    assert (await post_form(client, "/login/passkey", credential=device.get(options))).status == 401


async def test_where_there_can_be_no_passkeys_the_page_says_why_and_the_log_in_offers_none(
    start_web: StartWeb, db_dsn: str, tmp_path: Path
) -> None:
    client = await start_web(**closed_settings(tmp_path, db_dsn), public_url="http://127.0.0.1:8080")
    client.session._cookie_jar = CookieJar(unsafe=True)  # noqa: SLF001 - its address has no name
    assert "passkey" not in await text_of(client, "/login")
    await set_up(client)
    text = await text_of(client, "/account")
    assert "Passkeys need a host name" in text
    assert "Add a passkey" not in text
    for path, form in (("/login/passkey", {}), ("/account/passkeys", ADD)):
        assert "host name" in (await options_of(client, path, form, status=409))["detail"]


async def test_an_admin_removes_the_passkeys_of_a_lost_phone(client: Client, db_dsn: str) -> None:
    device = device_of(client)
    await add(client, device)
    assert "passkeys/remove" not in await text_of(client, "/accounts")  # one's own are on one's own page
    run(db_dsn, "UPDATE access.account SET name = 'Bob', email = 'bob@example.org', role = 'viewer'")
    await set_up(client)
    text = await text_of(client, "/accounts")
    removal = re.search("/accounts/[^/]+/passkeys/remove", text)
    assert removal
    assert (await post_form(client, removal[0])).status == 303
    assert "passkeys/remove" not in await text_of(client, "/accounts")


async def test_the_last_way_to_log_in_cannot_be_removed_and_the_page_says_what_to_do(
    client: Client, db_dsn: str
) -> None:
    await add(client, device_of(client))
    run(db_dsn, "UPDATE access.account SET password_hash = NULL")
    removal = re.search("/account/passkeys/[^/]+/remove", await text_of(client, "/account"))
    assert removal
    refused = await post_form(client, removal[0])
    assert refused.status == 409
    assert "only way to log in" in await refused.text()


async def test_the_api_lists_with_a_token_and_removes_with_a_session(client: Client) -> None:
    await add(client, device_of(client))
    login = {"email": ADA["email"], "password": PASSWORD, "token": "tests"}
    async with client.post("/api/v1/login", json=login) as response:
        bearer = {"Authorization": f"Bearer {(await response.json())['token']}"}
    async with client.get("/api/v1/account/passkeys", headers=bearer) as response:
        (passkey,) = (await response.json())["items"]
    assert (passkey["name"], set(passkey)) == ("Phone", {"id", "name", "created_at", "last_used_at"})
    path = f"/api/v1/account/passkeys/{passkey['id']}"
    for headers, status in ((bearer, 403), ({}, 200), ({}, 404)):
        async with client.delete(path, headers=headers) as response:
            assert response.status == status
    async with client.get("/api/v1/account", headers=bearer) as response:
        own = await response.json()
        assert own["passkeys"] == 0
    async with client.delete(f"/api/v1/accounts/{own['id']}/passkeys", headers=bearer) as response:
        assert (response.status, (await response.json())["name"]) == (200, "Ada")
    client.session.cookie_jar.clear()
    async with client.get("/api/v1/account/passkeys") as response:
        assert response.status == 401


@pytest.mark.parametrize("begun", [True, False])
async def test_while_the_database_is_away_a_log_in_says_so_and_works_afterwards(
    start_web: StartWeb, db_dsn: str, tmp_path: Path, *, begun: bool
) -> None:
    port = free_port()
    async with proxied_database(db_dsn) as (proxy, dsn):
        given = {"public_url": f"http://localhost:{port}", "db_connect_timeout_seconds": 0.5}
        client = await start_web(**closed_settings(tmp_path, dsn), port=port, **given)
        client.session._cookie_jar = CookieJar(unsafe=True)  # noqa: SLF001 - its address has no name
        await set_up(client)
        device = device_of(client)
        await add(client, device)
        await post_form(client, "/logout")
        credential = device.get(await options_of(client, "/login/passkey")) if begun else ""
        await proxy.stop()
        if begun:
            response = await post_form(client, "/login/passkey", credential=credential)
            assert response.status == 503
            assert "try again" in (await response.text()).lower()
        else:
            assert (await options_of(client, "/login/passkey", status=503))["detail"]
        await proxy.start()

        async def logs_in() -> bool:
            async with client.post("/login/passkey/options") as response:
                if response.status != 200:
                    return False
                credential = device.get(await response.json())
            return (await post_form(client, "/login/passkey", credential=credential)).status == 303

        await eventually(logs_in)


async def test_adding_using_and_removing_a_passkey_is_in_the_audit(client: Client, db_dsn: str) -> None:
    device = device_of(client)
    await add(client, device)
    await post_form(client, "/logout")
    options = await options_of(client, "/login/passkey")
    await post_form(client, "/login/passkey", credential=device.get(options))
    removal = re.search("/account/passkeys/[^/]+/remove", await text_of(client, "/account"))
    assert removal
    await post_form(client, removal[0])
    found = run(db_dsn, "SELECT action, object_name, principal_name, after FROM access.audit ORDER BY id DESC LIMIT 4")
    assert [(row["action"], row["object_name"]) for row in reversed(found)] == [
        ("passkey.add", "Phone"),
        ("log-out", "session of Ada"),
        ("log-in", "Ada"),
        ("passkey.remove", "Phone"),
    ]
    assert {row["principal_name"] for row in found} == {"Ada"}
    assert found[1]["after"] == {"method": "passkey"}
