"""While the database is unavailable, whoever was identified lately goes on working."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.kernel.fake_clock import FakeClock
from tests.support.tcp_proxy import Proxy, proxied_database
from tests.web.access.conftest import Access, OpenAccess
from tocsin.contracts.accounts import AccountKind, ChangeAccount, Role, TokenIn
from tocsin.kernel.errors import UnavailableError
from tocsin.kernel.ids import new_id
from tocsin.web.access.domain.identity import SCOPES, Identity
from tocsin.web.access.service import accounts, identification, sessions, tokens
from tocsin.web.access.service.seen_identities import KEEP_SECONDS, SeenIdentities


@pytest_asyncio.fixture(loop_scope="session")
async def proxy_and_dsn(db_dsn: str) -> AsyncIterator[tuple[Proxy, str]]:
    async with proxied_database(db_dsn) as proxied:
        yield proxied


@pytest.fixture
def proxy(proxy_and_dsn: tuple[Proxy, str]) -> Proxy:
    return proxy_and_dsn[0]


@pytest.fixture
def cut_off(proxy_and_dsn: tuple[Proxy, str], open_access: OpenAccess) -> Access:
    """A replica that loses its database when the proxy stops."""
    return open_access(dsn=proxy_and_dsn[1])


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    fake = FakeClock()
    fake.install(monkeypatch, ["tocsin.web.access.service.seen_identities.clock"])
    return fake


async def test_sessions_and_tokens_seen_lately_work_for_five_minutes(
    cut_off: Access, proxy: Proxy, time: FakeClock
) -> None:
    session = await cut_off.person("Bob")
    identity = await cut_off.identity(session)
    token = (await tokens.create_personal_token(cut_off.deps, identity, TokenIn(name="laptop"), request=None)).token
    assert token
    by_token = await identification.identify_token(cut_off.deps, token)
    unseen = await cut_off.log_in("bob@example.org")
    await proxy.stop()
    time.seconds += KEEP_SECONDS - 1
    assert await identification.identify_session(cut_off.deps, session.secret) == identity
    assert await identification.identify_token(cut_off.deps, token) == by_token
    with pytest.raises(UnavailableError):
        await identification.identify_session(cut_off.deps, unseen.secret)
    with pytest.raises(UnavailableError):  # and not: wrong password
        await cut_off.log_in("bob@example.org", "wrong")
    time.seconds += 2
    with pytest.raises(UnavailableError):
        await identification.identify_session(cut_off.deps, session.secret)


async def test_what_this_process_saw_end_does_not_work_during_an_outage(
    cut_off: Access, proxy: Proxy, open_access: OpenAccess
) -> None:
    ended, elsewhere = await cut_off.person("Bob"), await cut_off.person("Eve")
    role_changed = await cut_off.person("Kim")
    for session in (ended, elsewhere, role_changed):
        await cut_off.identity(session)
    await sessions.end_session(cut_off.deps, await cut_off.identity(ended), ended.id)
    change = ChangeAccount(role=Role.VIEWER)
    await accounts.change_account(cut_off.deps, role_changed.account.id, change, version=None)
    other = open_access()
    await sessions.end_session(other.deps, await other.identity(elsewhere), elsewhere.id)
    assert not await cut_off.is_valid(elsewhere)
    await proxy.stop()
    for session in (ended, elsewhere, role_changed):
        with pytest.raises(UnavailableError):
            await cut_off.is_valid(session)


async def test_a_session_that_expires_during_the_outage_ends(cut_off: Access, proxy: Proxy, time: FakeClock) -> None:
    session = await cut_off.person("Bob")
    cut_off.rows("UPDATE access.session SET expires_at = tocsin.now() + interval '1 minute'")
    assert await cut_off.is_valid(session)
    await proxy.stop()
    time.seconds += 61
    with pytest.raises(UnavailableError):
        await cut_off.is_valid(session)


async def test_a_use_that_cannot_be_recorded_is_no_reason_to_refuse(access: Access) -> None:
    session = await access.person("Bob")
    access.after(minutes=2)
    access.rows(
        "CREATE FUNCTION access.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE SQLSTATE '25006'; END $$"
    )  # as on a standby: read-only
    access.rows("CREATE TRIGGER refuse BEFORE UPDATE ON access.session EXECUTE FUNCTION access.refuse()")
    assert await access.is_valid(session)


def identity() -> Identity:
    return Identity(new_id(), AccountKind.PERSON, "Bob", "b@example.org", Role.VIEWER, SCOPES[Role.VIEWER], None)


def test_the_memory_is_bounded_and_forgets_whoever_was_seen_longest_ago(time: FakeClock) -> None:
    seen = SeenIdentities(size=2)
    for name in (b"a", b"b", b"a", b"c"):
        seen.add(name, identity(), seconds_left=None)
    assert [seen.find(name) is not None for name in (b"a", b"b", b"c")] == [True, False, True]
    time.seconds += KEEP_SECONDS + 1
    assert seen.find(b"a") is None


def test_an_account_is_forgotten_with_all_its_secrets() -> None:
    seen, bob, eve = SeenIdentities(), identity(), identity()
    for name, one in ((b"a", bob), (b"b", eve), (b"c", bob)):
        seen.add(name, one, seconds_left=None)
    seen.forget_account(bob.account_id)
    assert [seen.find(name) for name in (b"a", b"b", b"c")] == [None, eve, None]
