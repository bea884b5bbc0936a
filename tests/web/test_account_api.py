"""The API of accounts, sessions and tokens over HTTP."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import DummyCookieJar
from aiohttp.test_utils import TestClient, TestServer

from tests.support.web.closed import ADA, PASSWORD, closed_settings, set_up, signature_of_web
from tests.web.conftest import Client, StartWeb
from tocsin.clients.access import with_tokens
from tocsin.contracts.services import WEB_UI
from tocsin.kernel.app import base_app
from tocsin.kernel.authentication import TOKENS
from tocsin.kernel.ids import new_id
from tocsin.kernel.principal import Scope
from tocsin.kernel.service_settings import ServiceSettings


@pytest_asyncio.fixture(loop_scope="session")
async def client(start_web: StartWeb, db_dsn: str, tmp_path: Path) -> Client:
    started = await start_web(**closed_settings(tmp_path, db_dsn))
    started.session._cookie_jar = DummyCookieJar()  # noqa: SLF001 - nothing but tokens proves who calls
    await set_up(started)
    return started


async def call(
    client: Client, method: str, path: str, body: Any = None, *, status: int = 200, headers: Mapping[str, str] = {}
) -> Any:
    async with client.request(method, path, json=body, headers=dict(headers)) as response:
        assert response.status == status, await response.text()
        return await response.json()


async def admin_of(client: Client) -> Mapping[str, str]:
    login = {"email": ADA["email"], "password": PASSWORD, "token": "tests"}
    created = await call(client, "POST", "/api/v1/login", login, status=201)
    return {"Authorization": f"Bearer {created['token']}"}


async def test_a_log_in_by_the_api_is_a_token_and_no_session(client: Client) -> None:
    admin = await admin_of(client)
    own = await call(client, "GET", "/api/v1/account", headers=admin)
    assert (own["name"], own["role"], "admin" in own["scopes"]) == ("Ada", "admin", True)
    listed = await call(client, "GET", "/api/v1/account/tokens", headers=admin)
    assert [item["name"] for item in listed["items"]] == ["tests"]
    wrong = {"email": ADA["email"], "password": "not the password", "token": "tests"}
    await call(client, "POST", "/api/v1/login", wrong, status=401)
    await call(client, "POST", "/api/v1/account/tokens", {"name": "more"}, status=403, headers=admin)
    await call(client, "DELETE", f"/api/v1/account/tokens/{listed['items'][0]['id']}", headers=admin)
    await call(client, "GET", "/api/v1/account", status=401, headers=admin)


async def test_accounts_are_added_changed_and_given_tokens(client: Client) -> None:
    admin = await admin_of(client)
    once = {**admin, "Idempotency-Key": "bob"}
    given = {"name": "Bob", "email": "bob@example.org", "role": "viewer"}
    added = await call(client, "POST", "/api/v1/accounts", given, status=201, headers=once)
    assert "/choose-password?key=" in added["link"]
    replayed = await call(client, "POST", "/api/v1/accounts", given, status=201, headers=once)
    assert (replayed["id"], replayed["link"]) == (added["id"], None)
    assert "shown" in replayed["note"]
    path = f"/api/v1/accounts/{added['id']}"
    assert (await call(client, "GET", path, headers=admin))["email"] == "bob@example.org"
    assert (await call(client, "POST", f"{path}/link", headers=admin))["link"] != added["link"]
    stale = {**admin, "If-Match": '"7"'}
    await call(client, "PATCH", path, {"role": "responder"}, status=412, headers=stale)
    assert (await call(client, "PATCH", path, {"role": "responder"}, headers=admin))["role"] == "responder"
    await call(client, "POST", f"{path}/tokens", {"name": "his"}, status=409, headers=admin)
    assert len((await call(client, "GET", "/api/v1/accounts", headers=admin))["items"]) == 2

    robot = await call(client, "POST", "/api/v1/accounts", {"kind": "service", "name": "R"}, status=201, headers=admin)
    tokens = f"/api/v1/accounts/{robot['id']}/tokens"
    token = await call(client, "POST", tokens, {"name": "t", "expires_in_days": 1}, status=201, headers=admin)
    assert [item["id"] for item in (await call(client, "GET", tokens, headers=admin))["items"]] == [token["id"]]
    await call(client, "DELETE", f"{tokens}/{token['id']}", headers=admin)
    await call(client, "DELETE", f"{tokens}/{token['id']}", status=404, headers=admin)
    await call(client, "GET", f"/api/v1/accounts/{new_id()}", status=404, headers=admin)


async def test_a_service_asks_whose_token_it_is_and_makes_the_link_of_the_first_admin(
    client: Client, tmp_path: Path
) -> None:
    admin, service = await admin_of(client), signature_of_web(tmp_path)
    token = admin["Authorization"].removeprefix("Bearer ")
    found = await call(client, "POST", "/api/v1/access/introspect", {"token": token}, headers=service)
    assert (found["active"], found["kind"], found["name"]) == (True, "person", "Ada")
    unknown = await call(client, "POST", "/api/v1/access/introspect", {"token": "x"}, headers=service)
    assert unknown["active"] is False
    await call(client, "POST", "/api/v1/access/introspect", {"token": token}, status=403, headers=admin)
    await call(client, "POST", "/api/v1/access/setup-link", status=409, headers=service)
    await call(client, "GET", "/api/v1/account", status=404, headers=service)


async def test_another_service_learns_whose_token_it_is(client: Client, tmp_path: Path) -> None:
    admin = await admin_of(client)
    token = admin["Authorization"].removeprefix("Bearer ")
    given = closed_settings(tmp_path, "host=/nowhere dbname=x")
    settings = ServiceSettings.model_validate({**given, "web_ui_url": str(client.make_url("/"))})
    app = base_app(settings, service=WEB_UI)
    with_tokens(app, settings)
    async with TestClient(TestServer(app, host="127.0.0.1")):
        found = await app[TOKENS].identify(token)
        assert found is not None
        assert (found.name, Scope.ADMIN in found.scopes, Scope.SERVICE in found.scopes) == ("Ada", True, False)
        for unknown in ("", "x", 2_000 * "x", "\u00fc"):
            assert await app[TOKENS].identify(unknown) is None


@pytest.mark.parametrize("settings", [{}, {"access": "closed"}])
async def test_without_accounts_their_addresses_do_not_exist_and_closed_mode_needs_them(
    start_web: StartWeb, settings: Mapping[str, str]
) -> None:
    if settings:
        with pytest.raises(Exception, match="ACCESS is closed"):
            await start_web(**settings)
        return
    open_client = await start_web()
    for path in ("/login", "/setup", "/account", "/accounts", "/api/v1/accounts", "/api/v1/access/introspect"):
        async with open_client.get(path) as response:
            assert response.status == 404, path
