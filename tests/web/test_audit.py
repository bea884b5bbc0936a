"""What the audit records of accounts, log-ins and refusals, over HTTP."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import DummyCookieJar, web

from tests.support.postgres import run
from tests.support.web.audit import AUDIT, app_of, call, entries, given_entry, store
from tests.support.web.closed import ADA, PASSWORD, closed_settings, post_form, set_up, setup_path, signature_of_web
from tests.web.conftest import Client, StartWeb
from tests.web.test_account_api import admin_of
from tocsin.kernel.audit_refusals import MAX_COUNTED, MAX_WAITING, REFUSALS, deliver_refusals
from tocsin.kernel.errors import DatabaseUnavailableError
from tocsin.kernel.ids import new_id
from tocsin.kernel.principal import NOBODY, Principal, PrincipalKind
from tocsin.web.access.service import DEPS, audit

NEW = "quartz ferry lemon eleven"


@pytest_asyncio.fixture(loop_scope="session")
async def client(start_web: StartWeb, db_dsn: str, tmp_path: Path) -> Client:
    started = await start_web(**closed_settings(tmp_path, db_dsn))
    await set_up(started)
    return started


@pytest_asyncio.fixture(loop_scope="session")
async def admin(client: Client) -> Mapping[str, str]:
    return await admin_of(client)


async def flush(client: Client) -> None:
    """Let the minute of the refusals be over."""

    async def store(app: web.Application, entries: list[dict[str, Any]]) -> None:
        await audit.store(app[DEPS], entries)

    await deliver_refusals(app_of(client), store)


async def test_each_change_of_accounts_has_an_entry_with_who_what_and_from_where(
    client: Client, admin: Mapping[str, str]
) -> None:
    body = {"name": "Bob", "email": "bob@example.org", "role": "viewer"}
    bob = await call(client, "POST", "/api/v1/accounts", body, status=201, headers=admin)
    path = f"/api/v1/accounts/{bob['id']}"
    await call(client, "PATCH", path, {"role": "responder", "email": "robert@example.org"}, headers=admin)
    await call(client, "PATCH", path, {"role": "responder"}, headers=admin)  # a no-op
    await call(client, "PATCH", path, {"disabled": True}, headers=admin)
    await call(client, "PATCH", path, {"disabled": False}, headers=admin)
    link = (await call(client, "POST", f"{path}/link", headers=admin))["link"]
    program = {"kind": "service", "name": "CI", "role": "sender"}
    ci = (await call(client, "POST", "/api/v1/accounts", program, status=201, headers=admin))["id"]
    token = await call(client, "POST", f"/api/v1/accounts/{ci}/tokens", {"name": "t"}, status=201, headers=admin)
    await call(client, "DELETE", f"/api/v1/accounts/{ci}/tokens/{token['id']}", headers=admin)

    found = (await entries(client, admin))[:8]
    assert [(entry["action"], entry["object"]["name"]) for entry in reversed(found)] == [
        ("account.create", "Bob"),
        ("account.change", "Bob"),
        ("account.disable", "Bob"),
        ("account.enable", "Bob"),
        ("link.create", "Bob"),
        ("account.create", "CI"),
        ("token.create", "t"),
        ("token.revoke", "t"),
    ]
    own = await call(client, "GET", "/api/v1/account/tokens", headers=admin)
    for entry in found:
        assert (entry["principal"]["name"], entry["principal"]["kind"]) == ("Ada", "person")
        assert (entry["credential_id"], entry["address"]) == (own["items"][0]["id"], "127.0.0.1")
        assert entry["service"] == "web-ui"
        assert len(entry["request_id"]) > 10
    changed = found[6]
    assert changed["before"] == {"role": "viewer", "email": "b…@example.org"}
    assert changed["after"] == {"role": "responder", "email": "r…@example.org"}
    text = str(await entries(client, admin))
    for secret in (link, link.partition("key=")[2], token["token"], PASSWORD, "robert@", "bob@"):
        assert secret not in text


async def test_log_ins_log_outs_passwords_and_the_set_up_are_recorded_with_their_method(client: Client) -> None:
    await post_form(client, "/account/password", present=PASSWORD, new=NEW)
    await post_form(client, "/logout")
    login = {"email": ADA["email"], "password": NEW, "token": "tests"}
    created = await call(client, "POST", "/api/v1/login", login, status=201)
    admin = {"Authorization": f"Bearer {created['token']}"}
    body = {"name": "Bob", "email": "bob@example.org"}
    bob = await call(client, "POST", "/api/v1/accounts", body, status=201, headers=admin)
    key = bob["link"].partition("key=")[2]
    await post_form(client, "/choose-password", key=key, password="kelp orbit violet seven")  # noqa: S106
    found = [
        (entry["action"], entry["principal"]["name"], entry["after"])
        for entry in reversed(await entries(client, admin))
        if entry["action"] != "account.create"
    ]
    shown = [(action, name, (after or {}).get("method") or (after or {}).get("by")) for action, name, after in found]
    assert shown == [
        ("account.setup", "Ada", None),
        ("log-in", "Ada", "link"),
        ("password.change", "Ada", "the password before"),
        ("log-out", "Ada", None),
        ("log-in", "Ada", "password"),
        ("token.create", "Ada", None),
        ("log-out", "Ada", None),
        ("password.change", "Bob", "link"),
        ("log-in", "Bob", "link"),
    ]
    assert NEW not in str(found)


async def test_a_setup_link_is_recorded_but_its_secret_is_not(start_web: StartWeb, db_dsn: str, tmp_path: Path) -> None:
    client = await start_web(**closed_settings(tmp_path, db_dsn))
    link = await call(client, "POST", "/api/v1/access/setup-link", headers=signature_of_web(tmp_path))
    (row,) = run(db_dsn, "SELECT action, principal_name, before, after FROM access.audit")
    assert (row["action"], row["principal_name"]) == ("link.create", "web-ui")
    assert link["url"].partition("key=")[2] not in str(row)
    assert await setup_path(client)  # without a request there is nobody to record
    assert len(run(db_dsn, "SELECT id FROM access.audit")) == 1


async def test_refused_log_ins_and_requests_are_counted_for_a_minute(
    client: Client, admin: Mapping[str, str], db_dsn: str
) -> None:
    wrong = {"email": ADA["email"], "password": "my real password", "token": "x"}
    for _ in range(3):
        await call(client, "POST", "/api/v1/login", wrong, status=401)
    unknown = {**wrong, "email": "typed-password@example.org"}
    await call(client, "POST", "/api/v1/login", unknown, status=401)
    viewer = await call(
        client,
        "POST",
        "/api/v1/accounts",
        {"kind": "service", "name": "V", "role": "viewer"},
        status=201,
        headers=admin,
    )
    token = await call(
        client, "POST", f"/api/v1/accounts/{viewer['id']}/tokens", {"name": "t"}, status=201, headers=admin
    )
    client.session._cookie_jar = DummyCookieJar()  # noqa: SLF001 - nothing but tokens proves who calls
    for _ in range(5):
        await call(client, "GET", AUDIT, status=403, headers={"Authorization": f"Bearer {token['token']}"})
        await call(client, "GET", AUDIT, status=401, headers={"Authorization": "Bearer tocsin_pat_made_up"})
        await call(client, "GET", AUDIT, status=401)  # nobody tried anything
    await flush(client)
    found = [entry for entry in await entries(client, admin) if "refused" in entry["action"]]
    counted = {
        (entry["action"], entry["principal"]["name"], entry["object"]["name"]): entry["count"] for entry in found
    }
    assert counted == {
        ("log-in.refused", None, "Ada"): 3,
        ("log-in.refused", None, "unknown account"): 1,
        ("request.refused", "V", "GET /api/v1/audit"): 5,
        ("request.refused", None, "GET /api/v1/audit"): 5,
    }
    assert len(found) == len(counted)
    text = str(run(db_dsn, "SELECT * FROM access.audit"))
    for secret in ("my real password", "typed-password", "tocsin_pat_made_up", token["token"]):
        assert secret not in text


async def test_a_page_that_is_open_after_its_log_in_has_ended_adds_no_entry_but_a_change_does(
    client: Client, admin: Mapping[str, str], db_dsn: str
) -> None:
    run(db_dsn, "DELETE FROM access.session")
    for _ in range(3):
        await call(client, "GET", "/api/v1/incidents/stream", status=401)
    await call(client, "PATCH", "/api/v1/incidents/1", {"status": "resolved"}, status=401)
    await flush(client)
    found = [entry for entry in await entries(client, admin) if entry["action"] == "request.refused"]
    assert [(entry["object"]["name"], entry["count"]) for entry in found] == [
        ("PATCH /api/v1/incidents{rest}", 1)
    ]  # fmt: skip


async def test_a_flood_of_refusals_stays_bounded_and_is_counted_by_a_metric(
    client: Client, admin: Mapping[str, str]
) -> None:
    refusals = app_of(client)[REFUSALS]
    for number in range(10_000):
        address = f"2001:db8:{number:x}::1"
        refusals.add("request.refused", NOBODY, address, audit.UNKNOWN, {"status": 401})
    assert len(refusals.close_minute()) == MAX_COUNTED
    for _ in range(20):
        for number in range(MAX_COUNTED):
            refusals.add("request.refused", NOBODY, f"192.0.2.{number}", audit.UNKNOWN, {"status": 401})
        assert len(refusals.close_minute()) <= MAX_WAITING
    async with client.get("/metrics", headers=dict(admin)) as response:
        [line] = [
            line for line in (await response.text()).splitlines()
            if line.startswith("tocsin_audit_dropped_refusals_total ")
        ]  # fmt: skip
    assert float(line.split()[1]) == 10_000 - MAX_COUNTED + 21 * MAX_COUNTED - MAX_WAITING


async def test_a_flood_hides_no_refusal_of_an_account_and_refusals_wait_for_the_database(
    client: Client, admin: Mapping[str, str]
) -> None:
    app = app_of(client)
    for number in range(200):
        app[REFUSALS].add("request.refused", NOBODY, f"192.0.2.{number}", audit.UNKNOWN, {"status": 401})
    ada = Principal(PrincipalKind.PERSON, "Ada", frozenset(), id=new_id())
    app[REFUSALS].add("request.refused", ada, "192.0.2.1", audit.UNKNOWN, {"status": 403})

    async def away(_app: web.Application, _entries: list[dict[str, Any]]) -> None:
        raise DatabaseUnavailableError

    await deliver_refusals(app, away)
    await flush(client)
    await flush(client)
    found = [entry for entry in await entries(client, admin) if entry["action"] == "request.refused"]
    assert len(found) == MAX_COUNTED + 1
    assert [entry["address"] for entry in found if entry["principal"]["name"] == "Ada"] == ["192.0.2.1"]


async def test_an_entry_that_is_delivered_twice_is_stored_once(
    client: Client, admin: Mapping[str, str], tmp_path: Path
) -> None:
    first, second = given_entry(), given_entry(action="something.new")
    assert await store(client, tmp_path, first) == 1
    assert await store(client, tmp_path, first, second) == 1
    assert await store(client, tmp_path, first, second) == 0
    found = {entry["id"]: entry for entry in await entries(client, admin)}
    assert found[first["id"]]["before"] == {"status": "open"}
    assert found[second["id"]]["action"] == "something.new"
    await call(client, "POST", "/api/v1/access/audit", {"entries": []}, status=403, headers=admin)


async def test_a_rolled_back_change_leaves_no_entry(
    client: Client, admin: Mapping[str, str], db_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAILPOINT", "access.change_account:raise")
    own = (await call(client, "GET", "/api/v1/account", headers=admin))["id"]
    body = {"name": "Someone else"}
    await call(client, "PATCH", f"/api/v1/accounts/{own}", body, status=503, headers=admin)
    await call(client, "PATCH", f"/api/v1/accounts/{own}", {"role": "viewer"}, status=409, headers=admin)
    assert run(db_dsn, "SELECT id FROM access.audit WHERE action LIKE 'account.change'") == []
    await call(client, "PATCH", f"/api/v1/accounts/{own}", body, headers=admin)
    assert len(run(db_dsn, "SELECT id FROM access.audit WHERE action LIKE 'account.change'")) == 1
