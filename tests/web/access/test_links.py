"""Links: that of the first admin, and those with which people choose a password."""

import asyncio

import pytest

from tests.web.access.conftest import FROM, PASSWORD, Access, OpenAccess
from tocsin.contracts.accounts import AccountIn, ChangeAccount, Role
from tocsin.kernel.errors import ConflictError, InvalidRequestError, NotFoundError, UnauthenticatedError
from tocsin.kernel.ids import new_id
from tocsin.web.access.domain.links import LinkError
from tocsin.web.access.domain.sessions import NewSession
from tocsin.web.access.service import accounts
from tocsin.web.access.service.links import create_link, create_setup_link, find_link, redeem_link, redeem_setup_link

NEW = "quartz-ferry-lemon-88"


async def setup_secret(access: Access) -> str:
    secret = (await create_setup_link(access.deps)).secret
    assert secret
    return secret


async def invite(access: Access, name: str = "Eve") -> str:
    given = AccountIn(name=name, email=f"{name.lower()}@example.org")
    secret = (await accounts.create_account(access.deps, given, request=None)).secret
    assert secret
    return secret


async def set_up(access: Access, secret: str, name: str = "Ada") -> NewSession:
    return await redeem_setup_link(access.deps, secret, name, f"{name.lower()}@example.org", PASSWORD, **FROM)


async def test_the_first_admin_is_created_by_a_link_that_works_once(access: Access) -> None:
    secret = await setup_secret(access)
    assert (await find_link(access.deps, secret)).account is None
    ada = await set_up(access, secret)
    assert (ada.account.role, ada.account.has_password) == (Role.ADMIN, True)
    assert (await access.identity(ada)).session_id == ada.id
    with pytest.raises(LinkError):
        await set_up(access, secret, "Mallory")
    with pytest.raises(ConflictError, match="There is an admin already"):
        await create_setup_link(access.deps)
    await access.log_in("ada@example.org")


async def test_a_new_setup_link_replaces_the_one_before(access: Access) -> None:
    first, second = await setup_secret(access), await setup_secret(access)
    with pytest.raises(LinkError):
        await find_link(access.deps, first)
    await find_link(access.deps, second)


async def test_of_two_concurrent_first_admins_one_wins(open_access: OpenAccess) -> None:
    replicas = [open_access(), open_access()]
    secret = await setup_secret(replicas[0])
    results = await asyncio.gather(
        *(set_up(replica, secret, name) for replica, name in zip(replicas, ("Ada", "Mallory"), strict=True)),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results) == ["LinkError", "NewSession"]
    assert replicas[0].rows("SELECT count(*) FROM access.account") == [{"count": 1}]


async def test_a_setup_link_is_useless_once_there_is_an_admin(access: Access) -> None:
    secret = await setup_secret(access)
    await access.person("Kim", role=Role.ADMIN)
    with pytest.raises(ConflictError, match="There is an admin already"):
        await set_up(access, secret)


async def test_a_setup_link_can_be_made_while_no_admin_has_a_password(access: Access) -> None:
    given = AccountIn(name="Kim", email="kim@example.org", role=Role.ADMIN)
    await accounts.create_account(access.deps, given, request=None)
    secret = await setup_secret(access)
    with pytest.raises(ConflictError, match=r"kim@example\.org"):
        await set_up(access, secret, "Kim")
    await set_up(access, secret)


async def test_a_person_chooses_a_password_with_a_link_that_works_once(access: Access) -> None:
    secret = await invite(access)
    found = await find_link(access.deps, secret)
    assert found.account
    assert found.account.email == "eve@example.org"
    session = await redeem_link(access.deps, secret, PASSWORD, **FROM)
    assert session.account.has_password
    with pytest.raises(LinkError, match="was used, has expired or was replaced"):
        await redeem_link(access.deps, secret, NEW, **FROM)
    await access.log_in("eve@example.org")


async def test_of_two_concurrent_uses_of_a_link_one_wins(open_access: OpenAccess) -> None:
    replicas = [open_access(), open_access()]
    secret = await invite(replicas[0])
    results = await asyncio.gather(
        *(redeem_link(replica.deps, secret, f"{NEW}-{n}", **FROM) for n, replica in enumerate(replicas)),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results) == ["LinkError", "NewSession"]


async def test_a_new_link_for_a_forgotten_password_ends_the_sessions_once_it_is_used(access: Access) -> None:
    session = await access.person("Bob")
    old = await create_link(access.deps, session.account.id)
    link = await create_link(access.deps, session.account.id)
    assert old.secret
    assert link.secret
    with pytest.raises(LinkError):
        await find_link(access.deps, old.secret)
    assert await access.is_valid(session), "whoever creates the link does not end sessions"
    again = await redeem_link(access.deps, link.secret, NEW, **FROM)
    assert [await access.is_valid(one) for one in (session, again)] == [False, True]
    with pytest.raises(UnauthenticatedError):
        await access.log_in("bob@example.org")
    await access.log_in("bob@example.org", NEW)
    with pytest.raises(NotFoundError):
        await create_link(access.deps, new_id())


async def test_a_refused_password_leaves_the_link_as_it_is(access: Access) -> None:
    secret = await invite(access)
    with pytest.raises(InvalidRequestError) as caught:
        await redeem_link(access.deps, secret, "eve@example.org", **FROM)
    assert caught.value.errors[0]["pointer"] == "#/password"
    await redeem_link(access.deps, secret, PASSWORD, **FROM)


@pytest.mark.parametrize("secret", ["", "x", 43 * "A", "tocsin_pat_" + 43 * "A", "\0\udcff"])
async def test_an_unknown_link_is_refused_without_hashing_a_password(access: Access, secret: str) -> None:
    with pytest.raises(LinkError):
        await redeem_link(access.deps, secret, PASSWORD, **FROM)
    with pytest.raises(LinkError):
        await set_up(access, secret)
    assert access.hasher.hashed == 0


async def test_a_link_is_of_its_kind_and_expires(access: Access) -> None:
    setup, invitation = await setup_secret(access), await invite(access)
    with pytest.raises(LinkError):
        await redeem_link(access.deps, setup, PASSWORD, **FROM)
    with pytest.raises(LinkError):
        await set_up(access, invitation)
    access.after(hours=71)
    await find_link(access.deps, setup)
    access.after(hours=2)
    for secret in (setup, invitation):
        with pytest.raises(LinkError):
            await find_link(access.deps, secret)


async def test_an_account_disabled_while_its_link_is_used_stays_closed(
    access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = await invite(access)
    account = (await find_link(access.deps, secret)).account
    assert account
    original = access.deps.passwords.hash

    async def hash_slowly(password: str) -> str:
        await accounts.change_account(access.deps, account.id, ChangeAccount(disabled=True), version=None)
        return await original(password)

    monkeypatch.setattr(access.deps.passwords, "hash", hash_slowly)
    with pytest.raises(LinkError):
        await redeem_link(access.deps, secret, PASSWORD, **FROM)
    assert access.rows("SELECT password_hash FROM access.account") == [{"password_hash": None}]
