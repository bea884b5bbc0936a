"""Log in with a password, and change it."""

import asyncio
import logging
from typing import Any

import pytest
from argon2 import PasswordHasher

from tests.web.access.conftest import FROM, PASSWORD, Access, OpenAccess
from tocsin.contracts.accounts import ChangeAccount, TokenIn
from tocsin.kernel.errors import (
    ForbiddenError,
    InvalidRequestError,
    OverloadedError,
    UnauthenticatedError,
)
from tocsin.kernel.principal import Scope
from tocsin.web.access.service import accounts, identification, login, passwords, tokens

NEW = "quartz-ferry-lemon-88"


async def test_a_log_in_begins_a_session_with_the_rights_of_the_role(access: Access) -> None:
    bob = await access.person("Bob")
    session = await access.log_in(" BOB@example.org ")
    assert session.account == bob.account
    found = await access.identity(session)
    assert (found.account_id, found.session_id, found.name) == (bob.account.id, session.id, "Bob")
    assert found.scopes == {Scope.PUBLIC, Scope.FORWARD, Scope.SEND, Scope.READ, Scope.RESPOND, Scope.MANAGE}


async def test_each_log_in_has_a_secret_of_its_own(access: Access) -> None:
    first = await access.person("Bob")
    secrets = {first.secret, *[(await access.log_in("bob@example.org")).secret for _ in range(3)]}
    assert len(secrets) == 4


async def test_who_cannot_log_in_costs_the_same_work_and_gets_the_same_message(access: Access) -> None:
    await access.first_admin()
    await access.person("Bob")
    gone = await access.person("Gone")
    await accounts.change_account(access.deps, gone.account.id, ChangeAccount(disabled=True), version=None)
    invited = await access.person("Eve")
    access.rows("UPDATE access.account SET password_hash = NULL WHERE id = %(id)s", id=invited.account.id)
    messages = set()
    for email, password in (
        ("bob@example.org", "wrong"),
        ("nobody@example.org", PASSWORD),
        ("gone@example.org", PASSWORD),
        ("eve@example.org", PASSWORD),
        ("bob@example.org", "a" * 100_000),
        ("bob@example.org", ""),
        ("\0\udcff" * 10_000, "\0\udcff"),
    ):
        hashed, verified = access.hasher.hashed, access.hasher.verified
        with pytest.raises(UnauthenticatedError) as caught:
            await access.log_in(email, password)
        messages.add(str(caught.value))
        assert (access.hasher.verified - verified, access.hasher.hashed - hashed) in {(1, 0), (1, 1)}
    assert len(messages) == 1


async def test_the_hash_for_unknown_names_is_made_whoever_logs_in_first(open_access: OpenAccess) -> None:
    await open_access().person("Bob")
    counts = []
    for email in ("bob@example.org", "nobody@example.org"):
        replica = open_access()
        with pytest.raises(UnauthenticatedError):
            await replica.log_in(email, "wrong")
        counts.append((replica.hasher.hashed, replica.hasher.verified))
    assert counts == [(1, 1), (1, 1)]


async def test_a_hash_with_other_parameters_is_replaced_at_log_in(open_access: OpenAccess) -> None:
    before = open_access()
    await before.person("Bob")
    (old,) = before.rows("SELECT password_hash, version FROM access.account")
    stronger = open_access(hasher=PasswordHasher(2, 8, 1))
    assert await stronger.is_valid(await stronger.log_in("bob@example.org"))
    (new,) = before.rows("SELECT password_hash, version FROM access.account")
    assert "t=1" in old["password_hash"]
    assert "t=2" in new["password_hash"]
    assert new["version"] == old["version"], "nobody sees a change"
    hashed = stronger.hasher.hashed
    await stronger.log_in("bob@example.org")
    assert stronger.hasher.hashed == hashed


async def test_concurrent_log_ins_replace_a_hash_and_all_succeed(open_access: OpenAccess) -> None:
    await open_access().person("Bob")
    stronger = [open_access(hasher=PasswordHasher(2, 8, 1)) for _ in range(2)]
    sessions = await asyncio.gather(*(stronger[n % 2].log_in("bob@example.org") for n in range(6)))
    assert [await stronger[0].is_valid(session) for session in sessions] == [True] * 6
    assert stronger[0].rows("SELECT max(failures) FROM access.throttle") == [{"max": 0}]


async def test_a_damaged_hash_is_no_password(access: Access) -> None:
    await access.person("Bob")
    access.rows("UPDATE access.account SET password_hash = 'plain'")
    with pytest.raises(UnauthenticatedError):
        await access.log_in("bob@example.org")


async def test_no_connection_is_held_while_a_password_is_hashed(
    access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    await access.person("Bob")
    in_use = []

    def verify(*_: Any) -> bool:
        in_use.append(access.deps.db.in_use)
        return True

    monkeypatch.setattr(access.hasher, "verify", verify)
    await access.log_in("bob@example.org")
    assert in_use == [0]


async def test_more_log_ins_than_can_wait_are_unavailable_and_not_counted(
    access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    await access.person("Bob")
    monkeypatch.setattr(passwords, "MAX_WAITING", 0)
    for _ in range(11):
        with pytest.raises(OverloadedError):
            await access.log_in("bob@example.org")
    monkeypatch.setattr(passwords, "MAX_WAITING", 1)
    await access.log_in("bob@example.org")


async def test_a_password_that_changes_during_the_log_in_does_not_begin_a_session(
    access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    await access.person("Bob")

    def verify(*_: Any) -> bool:
        access.rows("UPDATE access.account SET password_hash = %(new)s", new=access.hasher.hash(NEW.encode()))
        return True

    monkeypatch.setattr(access.hasher, "verify", verify)
    with pytest.raises(UnauthenticatedError):
        await access.log_in("bob@example.org")


async def test_a_new_password_ends_the_other_sessions_and_renews_the_secret_of_this_one(access: Access) -> None:
    other = await access.person("Bob")
    session = await access.log_in("bob@example.org")
    identity = await access.identity(session)
    changed = await login.change_password(access.deps, identity, PASSWORD, NEW, address=FROM["address"])
    assert changed.id == session.id
    assert [await access.is_valid(one) for one in (other, session, changed)] == [False, False, True]
    with pytest.raises(UnauthenticatedError):
        await access.log_in("bob@example.org")
    await access.log_in("bob@example.org", NEW)


async def test_a_password_is_changed_with_the_present_one_and_a_session_only(access: Access) -> None:
    session = await access.person("Bob")
    identity = await access.identity(session)
    change = login.change_password
    with pytest.raises(InvalidRequestError) as refused:
        await change(access.deps, identity, PASSWORD, "bob@example.org", address="192.0.2.7")
    assert refused.value.errors[0]["pointer"] == "#/new_password"
    with pytest.raises(UnauthenticatedError):
        await change(access.deps, identity, "wrong", NEW, address="192.0.2.7")
    token = await tokens.create_personal_token(access.deps, identity, TokenIn(name="laptop"), request=None)
    by_token = await identification.identify_token(access.deps, token.token or "")
    assert by_token
    with pytest.raises(ForbiddenError):
        await change(access.deps, by_token, PASSWORD, NEW, address="192.0.2.7")
    access.rows("DELETE FROM access.session")
    with pytest.raises(UnauthenticatedError, match="session has ended"):
        await change(access.deps, identity, PASSWORD, NEW, address="192.0.2.7")
    await access.log_in("bob@example.org")


async def test_of_two_concurrent_changes_of_a_password_one_wins(access: Access) -> None:
    await access.person("Bob")
    identities = [await access.identity(await access.log_in("bob@example.org")) for _ in range(2)]
    results = await asyncio.gather(
        *(
            login.change_password(access.deps, identity, PASSWORD, f"{NEW}-{number}", address="192.0.2.7")
            for number, identity in enumerate(identities)
        ),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results) == ["NewSession", "UnauthenticatedError"]


async def test_no_password_or_secret_is_in_logs_reprs_or_the_database(
    access: Access, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    session = await access.person("Bob")
    identity = await access.identity(session)
    token = await tokens.create_personal_token(access.deps, identity, TokenIn(name="laptop"), request=None)
    with pytest.raises(UnauthenticatedError) as wrong:
        await access.log_in("bob@example.org", NEW)
    with pytest.raises(UnauthenticatedError):
        await access.log_in(NEW, PASSWORD)  # a password where the address belongs
    changed = await login.change_password(access.deps, identity, PASSWORD, NEW, address="192.0.2.7")
    printed = capsys.readouterr()
    assert "password changed" in printed.out
    tables = access.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = 'access'")
    stored = [access.rows(f"SELECT t::text FROM access.{table['table_name']} AS t") for table in tables]
    assert token.token
    told = "\n".join(
        [printed.out, printed.err, caplog.text, repr((session, changed, token, access.deps, wrong)), repr(stored)]
    )
    for secret in (PASSWORD, NEW, session.secret, changed.secret, token.token):
        assert secret not in told
