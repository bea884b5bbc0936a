"""What the commands about accounts print, before a gateway with scripted responses."""

import sys
from typing import Any
from uuid import UUID

import pytest

from tests.cli.conftest import FakeGateway, problem
from tests.support.cli.processes import tocsin
from tocsin.cli import credentials

ID = str(UUID(int=7))
AT = "2026-12-01T02:00:00Z"
ADA: dict[str, Any] = {
    "id": ID,
    "kind": "person",
    "name": "Ada",
    "email": "ada@example.org",
    "role": "admin",
    "person_id": None,
    "has_password": True,
    "version": 1,
    "created_at": AT,
    "disabled_at": None,
}
TOKEN: dict[str, Any] = {
    "id": ID,
    "name": "laptop",
    "prefix": "tocsin_pat_abcdef",
    "scopes": ["read"],
    "created_at": AT,
    "last_used_at": AT,
    "expires_at": None,
}


@pytest.fixture(autouse=True)
def _no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOCSIN_TOKEN", raising=False)


async def test_the_accounts_are_a_table(gateway: FakeGateway) -> None:
    others = [{**ADA, "name": "Bob", "has_password": False}, {**ADA, "name": "Eve", "disabled_at": AT}]
    gateway.responses["GET /api/v1/accounts"] = 200, {"items": [ADA, *others], "next_cursor": None}
    printed = (await tocsin("accounts", "list")).out
    assert all(word in printed for word in ("Ada", "ada@example.org", "admin", "active", "invited", "disabled"))


async def test_the_tokens_are_a_table_and_every_call_carries_the_users_own(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOCSIN_TOKEN", "tocsin_pat_mine")
    gateway.responses["GET /api/v1/account/tokens"] = 200, {"items": [TOKEN], "next_cursor": None}
    printed = (await tocsin("tokens", "list")).out
    assert all(word in printed for word in ("laptop", "tocsin_pat_abcdef", "read", "never"))
    assert gateway.headers[-1]["Authorization"] == "Bearer tocsin_pat_mine"


async def test_on_a_terminal_a_log_in_asks_for_the_password(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {"E-mail": "ada@example.org", "Password": "marble tuba canyon seven"}
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.prompt", lambda question, **_: answers[question])
    gateway.responses["POST /api/v1/login"] = 201, {**TOKEN, "token": "tocsin_pat_new", "note": None}
    gateway.responses["GET /api/v1/account"] = 200, {**ADA, "scopes": ["read"]}
    assert "You are Ada (admin)" in (await tocsin("login")).out
    assert gateway.requests[0][2] == {
        "email": answers["E-mail"],
        "password": answers["Password"],
        "token": "Command line",
    }
    assert gateway.headers[-1]["Authorization"] == "Bearer tocsin_pat_new"
    assert credentials.token() == "tocsin_pat_new"


async def test_a_token_whose_response_was_lost_is_to_be_revoked(gateway: FakeGateway) -> None:
    gateway.responses["POST /api/v1/account/tokens"] = 201, {**TOKEN, "token": None, "note": "shown once"}
    lost = await tocsin("tokens", "create", "laptop")
    assert (lost.status, f"tokens revoke {ID}" in lost.err) == (1, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ("accounts", "add", "x" * 300),
        ("accounts", "add", "Bob", "--email", "bob"),
        ("accounts", "change", "Bob", "--email", "bob"),
        ("tokens", "create", " "),
    ],
)
async def test_what_cannot_be_an_account_or_a_token_is_refused_here(
    gateway: FakeGateway, arguments: tuple[str, ...]
) -> None:
    assert (await tocsin(*arguments)).status == 64
    assert gateway.requests == []


async def test_changes_can_be_printed_as_json(gateway: FakeGateway) -> None:
    gateway.responses["GET /api/v1/accounts"] = 200, {"items": [ADA], "next_cursor": None}
    gateway.responses[f"PATCH /api/v1/accounts/{ID}"] = 200, ADA
    invited = {**ADA, "link": "http://x/choose-password?key=k", "link_expires_at": AT, "note": None}
    gateway.responses[f"POST /api/v1/accounts/{ID}/link"] = 200, invited
    assert '"name":"Ada"' in (await tocsin("accounts", "change", "Ada", "--name", "Ada", "--json")).out.replace(" ", "")
    assert "choose-password" in (await tocsin("accounts", "link", "Ada", "--json")).out


async def test_a_refused_call_says_how_to_get_a_token(gateway: FakeGateway) -> None:
    gateway.responses["GET /api/v1/accounts"] = 401, problem(401, "Log in, or send a token.")
    refused = await tocsin("accounts", "list")
    assert (refused.status, "tocsin login" in refused.err) == (1, True)


def test_a_token_that_cannot_be_kept_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/dev/null")
    with pytest.raises(Exception, match="cannot be kept"):
        credentials.keep("tocsin_pat_x")


async def test_the_audit_is_a_table_of_what_matches(gateway: FakeGateway) -> None:
    entry = {
        "id": ID,
        "at": AT,
        "service": "web-ui",
        "action": "request.refused",
        "principal": {"kind": "nobody"},
        "address": "192.0.2.7",
        "object": {"kind": "route", "id": "r", "name": "PATCH /api/v1/incidents/{incident_id}"},
        "count": 17,
        "request_id": "r",
    }
    gateway.responses["GET /api/v1/accounts"] = 200, {"items": [ADA], "next_cursor": None}
    gateway.responses["GET /api/v1/audit"] = 200, {"items": [entry], "next_cursor": None}
    printed = (await tocsin("audit", "--account", "Ada", "--action", "request.refused", "--object", "PATCH")).out
    assert all(word in printed for word in ("nobody known", "192.0.2.7", "request.refused", "17 times"))
    assert '"count": 17' in (await tocsin("audit", "--json")).out
