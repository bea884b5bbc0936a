"""Log in by the company's OpenID provider: which account is used, which role it gets, and what is refused."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.support.web.every_use_of_accounts import Provider
from tests.web.access.conftest import FROM, PASSWORD, Access, OpenAccess
from tocsin.contracts.accounts import ChangeAccount, Role, TokenIn
from tocsin.kernel.errors import ConflictError, ForbiddenError, NotFoundError, ThrottledError
from tocsin.web.access.domain.openid import ExternalIdentity, LogInRefusedError, new_flow
from tocsin.web.access.domain.sessions import NewSession
from tocsin.web.access.repository.external_identities import TakenFlow
from tocsin.web.access.repository.throttle import Count
from tocsin.web.access.service import accounts, identification, links, oidc, tokens

ISSUER = "https://id.example"
SETTINGS = {
    "access": "closed",
    "public_url": "https://tocsin.example",
    "oidc_issuer": ISSUER,
    "oidc_client_id": "tocsin",
    "oidc_client_secret": "secret",
}


@pytest.fixture
def access(open_access: OpenAccess) -> Access:
    return open_access(**SETTINGS)


def person(subject: str = "bob", email: str | None = "BOB@example.org", **given: Any) -> ExternalIdentity:
    found = {"issuer": ISSUER, "name": "Bob by Halyard", "groups": frozenset(given.pop("groups", ()))} | given
    return ExternalIdentity(subject=subject, email=email, **found)


TAKEN = TakenFlow(new_flow(""), "/", Count("oidc x", None))  # type: ignore[arg-type]  # nothing was counted


async def log_in(access: Access, identity: ExternalIdentity | None = None) -> NewSession:
    return await oidc.log_in(access.deps, identity or person(), TAKEN, **FROM)


async def refused(access: Access, identity: ExternalIdentity | None = None) -> str:
    with pytest.raises(LogInRefusedError) as caught:
        await log_in(access, identity)
    return str(caught.value)


def count(access: Access, table: str) -> int:
    return int(access.rows(f"SELECT count(*) FROM access.{table}")[0]["count"])


async def test_a_confirmed_address_links_the_account_and_the_subject_finds_it_from_then_on(access: Access) -> None:
    bob = await access.person("Bob")
    first = await log_in(access)
    assert (first.account.id, first.account.name) == (bob.account.id, "Bob"), "the name stays as it is"
    assert await access.is_valid(first)
    assert await access.is_valid(bob), "a log-in ends no other"
    other_address = person(email="robert@example.net")
    assert (await log_in(access, other_address)).account.id == bob.account.id
    assert (await log_in(access, person(email=None))).account.email == "bob@example.org"
    assert first.secret != (await log_in(access)).secret
    assert [link.issuer for link in await oidc.list_links(access.deps, bob.account.id)] == [ISSUER]


async def test_without_a_confirmed_address_or_an_account_nobody_gets_in(access: Access) -> None:
    await access.person("Bob")
    await access.program()
    assert "does not confirm an e-mail address" in await refused(access, person(email=None))
    assert "Ask an admin to add one" in await refused(access, person(email="eve@example.org"))
    assert (count(access, "account"), count(access, "external_identity")) == (2, 0)


async def test_a_disabled_account_is_refused_before_and_after_it_was_linked(access: Access) -> None:
    bob = await access.person("Bob")
    disable = ChangeAccount(disabled=True)
    await accounts.change_account(access.deps, bob.account.id, disable, version=None)
    before = await refused(access)
    assert count(access, "external_identity") == 0
    await accounts.change_account(access.deps, bob.account.id, ChangeAccount(disabled=False), version=None)
    await log_in(access)
    await accounts.change_account(access.deps, bob.account.id, disable, version=None)
    assert await refused(access) == before == await refused(access, person("eve", "eve@example.org")), (
        "it tells nothing"
    )
    assert count(access, "session") == 0


async def test_an_account_is_of_one_person_of_a_provider(access: Access) -> None:
    await access.person("Bob")
    await log_in(access)
    assert "Ask an admin" in await refused(access, person("another bob"))  # the address was given to somebody else
    await log_in(access, person("bob", issuer="https://other.example"))  # after a change of the provider
    assert count(access, "external_identity") == 2


async def test_accounts_are_created_for_domains_of_the_settings_only(open_access: OpenAccess) -> None:
    access = open_access(**SETTINGS, oidc_create_accounts_from="example.com,Example.org")
    created = (await log_in(access)).account
    assert (created.name, created.email, created.role) == ("Bob by Halyard", "BOB@example.org", Role.VIEWER)
    assert (created.has_password, created.is_linked) == (False, True)
    assert (await log_in(access)).account == created
    nameless = (await log_in(access, person("eve", "eve@example.com", name=""))).account
    assert nameless.name == "eve"
    for email in ("eve@example.net", "eve@sub.example.org", None):
        await refused(access, person("mallory", email))
    assert count(access, "account") == 2
    await accounts.change_account(access.deps, created.id, ChangeAccount(name="Bo"), version=None)
    assert (await log_in(access)).account.name == "Bo", "a log-in changes no name"


async def test_of_two_first_log_ins_at_once_one_creates_the_account(open_access: OpenAccess) -> None:
    replicas = [open_access(**SETTINGS, oidc_create_accounts_from="example.org") for _ in range(2)]
    sessions = await asyncio.gather(*(log_in(replicas[n % 2]) for n in range(6)))
    assert len({session.account.id for session in sessions}) == 1
    assert (count(replicas[0], "account"), count(replicas[0], "external_identity")) == (1, 1)
    assert [await replicas[0].is_valid(session) for session in sessions] == [True] * 6


async def test_of_two_people_with_one_address_one_gets_the_account(access: Access) -> None:
    await access.person("Bob")
    results = await asyncio.gather(
        *(log_in(access, person(subject)) for subject in ("one", "two")), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["LogInRefusedError", "NewSession"]


async def test_the_role_follows_the_groups_and_a_new_one_ends_what_ran(open_access: OpenAccess) -> None:
    access = open_access(**SETTINGS, oidc_roles="sre=responder,platform=admin,all=viewer")
    await access.first_admin()
    bob = await access.person("Bob", Role.RESPONDER)
    promoted = await log_in(access, person(groups=["all", "platform", "sre"]))
    assert promoted.account.role is Role.ADMIN
    assert [await access.is_valid(each) for each in (bob, promoted)] == [False, True]
    same = await log_in(access, person(groups=["platform"]))
    assert same.account.version == promoted.account.version
    assert await access.is_valid(promoted), "the same role ends nothing"
    token = await tokens.create_personal_token(
        access.deps, await access.identity(same), TokenIn(name="laptop"), request=None
    )
    demoted = await log_in(access, person(groups=["all"]))
    assert demoted.account.role is Role.VIEWER
    assert [await access.is_valid(each) for each in (promoted, same, demoted)] == [False, False, True]
    by_token = await identification.identify_token(access.deps, token.token or "")
    assert by_token
    assert by_token.role is Role.VIEWER


async def test_without_a_group_that_has_a_role_nobody_gets_in(open_access: OpenAccess) -> None:
    access = open_access(**SETTINGS, oidc_roles="sre=responder", oidc_create_accounts_from="example.org")
    bob = await access.person("Bob")
    for groups in ([], ["everybody"], ["SRE"]):
        assert "None of your groups" in await refused(access, person(groups=groups))
    assert await access.is_valid(bob)
    assert (await log_in(access, person("eve", "eve@example.org", groups=["sre"]))).account.role is Role.RESPONDER
    assert count(access, "account") == 2


async def test_the_last_admin_who_can_log_in_stays_one_whatever_the_groups_say(open_access: OpenAccess) -> None:
    access = open_access(**SETTINGS, oidc_roles="sre=responder,platform=admin")
    ada = await access.first_admin()
    identity = person("ada", "ada@example.org", groups=["sre"])
    assert (await log_in(access, identity)).account.role is Role.ADMIN
    assert await access.is_valid(ada)
    await access.person("Bob", Role.ADMIN)
    assert (await log_in(access, identity)).account.role is Role.RESPONDER
    assert not await access.is_valid(ada)
    last = person(groups=["sre"])
    assert (await log_in(access, last)).account.role is Role.ADMIN


async def test_of_the_two_last_admins_who_lose_their_group_at_once_one_stays(open_access: OpenAccess) -> None:
    replicas = [open_access(**SETTINGS, oidc_roles="sre=responder") for _ in range(2)]
    await replicas[0].first_admin()
    await replicas[0].person("Bob", Role.ADMIN)
    people = [person("ada", "ada@example.org", groups=["sre"]), person(groups=["sre"])]
    await asyncio.gather(*(log_in(replica, each) for replica, each in zip(replicas, people, strict=True)))
    assert replicas[0].rows("SELECT count(*) FROM access.account WHERE role = 'admin'") == [{"count": 1}]


async def test_who_has_a_password_can_unlink_and_be_linked_anew(access: Access) -> None:
    await access.person("Bob")
    identity = await access.identity(await log_in(access))
    token = await tokens.create_personal_token(access.deps, identity, TokenIn(name="laptop"), request=None)
    by_token = await identification.identify_token(access.deps, token.token or "")
    assert by_token
    with pytest.raises(ForbiddenError):
        await oidc.unlink(access.deps, by_token, ISSUER)
    await oidc.unlink(access.deps, identity, ISSUER)
    with pytest.raises(NotFoundError):
        await oidc.unlink(access.deps, identity, ISSUER)
    assert (await log_in(access, person("new subject"))).account.id == identity.account_id
    await access.log_in("bob@example.org", PASSWORD)


async def test_who_has_no_password_cannot_unlink_until_there_is_one(open_access: OpenAccess) -> None:
    access = open_access(**SETTINGS, oidc_create_accounts_from="example.org")
    session = await log_in(access)
    identity = await access.identity(session)
    with pytest.raises(ConflictError, match="could not log in"):
        await oidc.unlink(access.deps, identity, ISSUER)
    link = await links.create_link(access.deps, session.account.id)
    renewed = await links.redeem_link(access.deps, link.secret or "", PASSWORD, **FROM)
    await oidc.unlink(access.deps, await access.identity(renewed), ISSUER)


async def test_an_account_that_is_deleted_takes_its_link_along(access: Access) -> None:
    await access.person("Bob")
    await log_in(access)
    access.rows("DELETE FROM access.account")
    assert count(access, "external_identity") == 0


def with_provider(access: Access) -> Access:
    return replace(access, deps=replace(access.deps, provider=Provider()))


async def begin(access: Access, *, browser: str = "", address: str = FROM["address"]) -> tuple[str, str]:
    """Begin a log-in; return its state and the browser's secret."""
    started = await oidc.begin(access.deps, return_to="/alerts", browser=browser, address=address)
    return started.url, started.browser


async def test_a_log_in_comes_back_once_within_ten_minutes_to_the_browser_that_began_it(access: Access) -> None:
    access = with_provider(access)
    state, browser = await begin(access)
    _, other = await begin(access)
    for wrong in ((state, other), (browser, browser), ("", browser), (state, ""), (state + "x", browser)):
        with pytest.raises(LogInRefusedError):
            await oidc.take(access.deps, state=wrong[0], browser=wrong[1])
    assert (await oidc.take(access.deps, state=state, browser=browser)).return_to == "/alerts"
    with pytest.raises(LogInRefusedError, match="used already"):
        await oidc.take(access.deps, state=state, browser=browser)
    state, browser = await begin(access, browser=browser)
    access.after(minutes=10)
    with pytest.raises(LogInRefusedError, match="ten minutes"):
        await oidc.take(access.deps, state=state, browser=browser)


async def test_of_an_answer_that_arrives_twice_at_once_one_is_taken(open_access: OpenAccess) -> None:
    replicas = [with_provider(open_access(**SETTINGS)) for _ in range(2)]
    state, browser = await begin(replicas[0])
    results = await asyncio.gather(
        *(oidc.take(replicas[n % 2].deps, state=state, browser=browser) for n in range(6)), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["LogInRefusedError"] * 5 + ["TakenFlow"]


async def test_log_ins_that_do_not_come_back_are_limited_by_address_and_passwords_are_not(access: Access) -> None:
    access = with_provider(access)
    await access.person("Bob")
    limit = access.deps.settings.address_failures_per_minute
    for _ in range(limit):
        await begin(access)
    with pytest.raises(ThrottledError):
        await begin(access)
    assert count(access, "oidc_flow") == limit
    await begin(access, address="192.0.2.8")
    await access.log_in("bob@example.org")
    access.after(seconds=61)
    await begin(access)


async def test_a_log_in_that_succeeds_does_not_count(access: Access) -> None:
    access = with_provider(access)
    await access.person("Bob")
    state, browser = await begin(access)
    taken = await oidc.take(access.deps, state=state, browser=browser)
    await oidc.log_in(access.deps, person(), taken, **FROM)
    assert access.rows("SELECT failures FROM access.throttle WHERE key LIKE 'oidc %%'") == [{"failures": 0}]


async def test_the_database_has_no_secret_of_a_flow(access: Access) -> None:
    access = with_provider(access)
    state, browser = await begin(access)
    stored = str(access.rows("SELECT f::text FROM access.oidc_flow AS f"))
    assert state not in stored
    assert browser not in stored


async def test_without_a_provider_nothing_begins(access: Access) -> None:
    for use in (begin(access), oidc.take(access.deps, state="", browser="")):
        with pytest.raises(NotFoundError, match="password"):
            await use
