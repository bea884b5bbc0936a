"""`tocsin up` in closed mode: the link of the first admin, and the commands with tokens."""

import asyncio
import io
import json
import re
import sys
from pathlib import Path

import pytest
from aiohttp import ClientSession

from tests.support.cli.processes import tocsin, tocsin_up
from tests.support.postgres import run
from tocsin.cli import credentials
from tocsin.cli.console import CommandError
from tocsin.cli.services import WEB
from tocsin.cli.setup_link import create_setup_link

PASSWORD = "marble tuba canyon seven"  # noqa: S105 - of a made-up account


@pytest.fixture(autouse=True)
def _own_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("TOCSIN_TOKEN", raising=False)


def feed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Let *text* be the standard input, which is no terminal."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


@pytest.mark.slow
async def test_the_first_admin_is_created_by_the_printed_link_and_the_commands_need_a_token(
    db_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", db_dsn)
    monkeypatch.setenv("ACCESS", "closed")
    data = tmp_path / "data"
    async with tocsin_up("--data", str(data)) as up, ClientSession() as session:
        await up.wait_for_output("/setup?key=")
        url = up.endpoint.url(WEB)
        monkeypatch.setenv("TOCSIN_URL", url)
        key = re.search(r"/setup\?key=(\S+)", up.output)
        assert key is not None
        form = {"key": key[1], "name": "Ada", "email": "ada@example.org", "password": PASSWORD}
        async with session.post(f"{url}/setup", data=form, allow_redirects=False) as response:
            assert response.status == 303
        with pytest.raises(CommandError, match="admin already"):
            await asyncio.to_thread(create_setup_link, url, data)

        refused = await tocsin("incidents", "list")
        assert refused.status == 1
        assert "tocsin login" in refused.err

        login = {"email": "ada@example.org", "password": PASSWORD, "token": "laptop"}
        async with session.post(f"{url}/api/v1/login", json=login) as response:
            token = (await response.json())["token"]
        feed(monkeypatch, "nonsense\n")
        assert (await tocsin("login")).status == 1
        assert credentials.token() is None
        feed(monkeypatch, f"{token}\n")
        assert "You are Ada (admin)" in (await tocsin("login")).out
        assert credentials.path().stat().st_mode & 0o777 == 0o600
        assert (await tocsin("incidents", "list")).status == 0

        added = json.loads((await tocsin("accounts", "add", "Prometheus", "--role", "sender", "--json")).out)
        created = await tocsin("tokens", "create", "--account", "prometheus", "--days", "30", "alertmanager")
        sender = created.out.strip()
        assert sender.startswith("tocsin_sat_")
        monkeypatch.setenv("TOCSIN_TOKEN", sender)
        assert (await tocsin("alert", "send", "checkout", "high", "slow")).status == 0
        assert "requires the scope read" in (await tocsin("incidents", "list")).err
        monkeypatch.delenv("TOCSIN_TOKEN")

        shown = json.loads((await tocsin("tokens", "list", "--account", added["id"], "--json")).out)
        assert [item["name"] for item in shown["items"]] == ["alertmanager"]
        assert sender not in json.dumps(shown)
        revoked = await tocsin("tokens", "revoke", shown["items"][0]["id"], "--account", "Prometheus")
        assert "Revoked alertmanager." in revoked.out
        assert "alertmanager" not in (await tocsin("tokens", "list", "--account", "Prometheus")).out

        await _invite_and_change(url)

        assert "forgotten" in (await tocsin("logout")).out
        assert "There is no token." in (await tocsin("logout")).out


@pytest.mark.slow
async def test_demo_data_is_added_by_an_account_of_its_own(
    db_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", db_dsn)
    monkeypatch.setenv("ACCESS", "closed")
    async with tocsin_up("--demo", "--data", str(tmp_path / "data")) as up:
        await up.wait_for_output("/setup?key=")
        assert "The demo data is loaded" in up.output
    assert [row["name"] for row in run(db_dsn, "SELECT name FROM access.account")] == ["Demo data"]
    assert run(db_dsn, "SELECT count(*) FROM incidents.incident")[0]["count"] > 10
    token = tmp_path / "data" / "keys" / "tokens" / "demo"
    assert token.stat().st_mode & 0o777 == 0o600
    assert token.read_text() not in up.output


async def _invite_and_change(url: str) -> None:
    invited = await tocsin("accounts", "add", "Bob", "--email", "bob@example.org", "--role", "viewer")
    assert f"{url}/choose-password?key=" in invited.out
    assert "choose-password?key=" in (await tocsin("accounts", "link", "bob@example.org")).out
    assert "invited" in (await tocsin("accounts", "list")).out
    changed = await tocsin("accounts", "change", "Bob", "--role", "responder", "--disable")
    assert "Bob is changed (disabled)." in changed.out
    nobody = await tocsin("accounts", "change", "Carla", "--disable")
    assert (nobody.status, "no account has" in nobody.err) == (1, True)
    last = await tocsin("accounts", "change", "Ada", "--role", "viewer")
    assert "last admin" in last.err


async def test_a_login_without_a_token_on_standard_input_says_where_to_get_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    feed(monkeypatch, "  \n")
    refused = await tocsin("login", "--url", "http://127.0.0.1:1")
    assert refused.status == 1
    assert "http://127.0.0.1:1/account" in refused.err


def test_a_setup_link_needs_the_key_of_web_ui(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="the key of web-ui is not here"):
        create_setup_link("http://127.0.0.1:1", tmp_path)
