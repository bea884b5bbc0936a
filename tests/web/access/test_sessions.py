"""Sessions: how long they last, and what ends them."""

import pytest

from tests.web.access.conftest import Access, OpenAccess
from tocsin.contracts.accounts import ChangeAccount, Role
from tocsin.kernel.errors import NotFoundError
from tocsin.web.access.domain.bearer_secrets import new_secret
from tocsin.web.access.queries import SessionsQuery
from tocsin.web.access.service import accounts, identification, sessions


async def test_a_session_that_is_not_used_ends_after_a_week(access: Access) -> None:
    session = await access.person("Bob")
    access.after(days=6.9)
    assert await access.is_valid(session)
    access.after(days=6.9)
    assert await access.is_valid(session), "its use has postponed the end"
    access.after(days=7.1)
    assert not await access.is_valid(session)


async def test_a_session_ends_after_thirty_days_however_it_is_used(access: Access) -> None:
    session = await access.person("Bob")
    for _ in range(5):
        access.after(days=5.9)
        assert await access.is_valid(session)
    access.after(days=0.6)
    assert not await access.is_valid(session)


async def test_the_last_use_is_written_once_a_minute(access: Access) -> None:
    session = await access.person("Bob")
    last_use = "SELECT last_used_at, xmin::text FROM access.session"
    (first,) = access.rows(last_use)
    access.after(seconds=50)
    await access.identity(session)
    assert access.rows(last_use) == [first]
    access.after(seconds=11)
    await access.identity(session)
    (second,) = access.rows(last_use)
    assert second["last_used_at"] > first["last_used_at"]
    await access.identity(session)
    assert access.rows(last_use) == [second]


async def test_what_is_no_session_is_nobody(access: Access) -> None:
    await access.person("Bob")
    for secret in ("", "x", new_secret(), new_secret("tocsin_pat_"), "\0\udcff", "a" * 1_000_000):
        assert await identification.identify_session(access.deps, secret) is None
        assert await identification.identify_token(access.deps, secret) is None


@pytest.mark.parametrize("change", [ChangeAccount(role=Role.VIEWER), ChangeAccount(disabled=True)])
async def test_another_role_or_disabling_ends_the_sessions(access: Access, change: ChangeAccount) -> None:
    session = await access.person("Bob")
    await accounts.change_account(access.deps, session.account.id, change, version=None)
    assert not await access.is_valid(session)
    assert access.rows("SELECT * FROM access.session") == []


async def test_another_name_is_seen_at_once_and_ends_nothing(access: Access) -> None:
    session = await access.person("Bob")
    change = ChangeAccount(name="Robert")
    await accounts.change_account(access.deps, session.account.id, change, version=None)
    assert (await access.identity(session)).name == "Robert"


async def test_one_lists_and_ends_ones_sessions(access: Access) -> None:
    other = await access.first_admin()
    first = await access.person("Bob")
    second, third = [await access.log_in("bob@example.org") for _ in range(2)]
    identity = await access.identity(second)
    page = await sessions.list_sessions(access.deps, identity, SessionsQuery(limit=2))
    rest = await sessions.list_sessions(access.deps, identity, SessionsQuery(limit=2, cursor=page.next_cursor))
    listed = [*page.items, *rest.items]
    assert [(one.id, one.current) for one in listed] == [(third.id, False), (second.id, True), (first.id, False)]
    assert {(one.address, one.user_agent) for one in listed} == {("192.0.2.7", "Firefox on a phone")}
    await sessions.end_session(access.deps, identity, first.id)
    for unknown in (first.id, other.id):
        with pytest.raises(NotFoundError):
            await sessions.end_session(access.deps, identity, unknown)
    assert await sessions.end_other_sessions(access.deps, identity) == 1
    assert [await access.is_valid(one) for one in (first, second, third, other)] == [False, True, False, True]


async def test_a_revocation_on_one_replica_counts_on_all_at_once(open_access: OpenAccess) -> None:
    one, other = open_access(), open_access()
    session = await one.person("Bob")
    assert await other.is_valid(session)
    await sessions.end_session(one.deps, await one.identity(session), session.id)
    assert not await other.is_valid(session)
