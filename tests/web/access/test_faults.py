"""Failures before and after each step of accounts: a retry leads to the same result."""

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import TypeVar

import pytest

from tests.support.web.authenticator import ORIGIN, Device
from tests.web.access.conftest import FROM, PASSWORD, Access, Arm, OpenAccess
from tests.web.access.test_oidc import ISSUER, begin, log_in, with_provider
from tests.web.access.test_passkeys import add as add_passkey
from tocsin.contracts.accounts import AccountIn, ChangeAccount, TokenIn
from tocsin.kernel.errors import ConflictError, NotFoundError, UnauthenticatedError
from tocsin.kernel.failpoints import POINTS, FaultInjectedError
from tocsin.kernel.idempotent_request import IdempotentRequest
from tocsin.web.access.domain.links import LinkError
from tocsin.web.access.service import accounts, links, login, oidc, passkey_login, passkeys, tokens

T = TypeVar("T")
KINDS = ["raise", "execute_then_raise"]
TESTED = [
    "access.add_passkey",
    "access.begin_oidc",
    "access.change_account",
    "access.change_password",
    "access.create_account",
    "access.create_link",
    "access.create_token",
    "access.log_in",
    "access.log_in_oidc",
    "access.log_in_with_passkey",
    "access.redeem_link",
    "access.redeem_setup_link",
    "access.remove_passkey",
    "access.unlink_oidc",
]
NEW = "quartz-ferry-lemon-88"


def test_every_failpoint_of_accounts_is_tested_here() -> None:
    assert sorted(name for name in POINTS if name.startswith("access.")) == TESTED


async def fail_once(arm: Arm, point: str, use: Callable[[], Awaitable[T]]) -> None:
    arm(point)
    with pytest.raises(FaultInjectedError):
        await use()


async def fail_and_repeat(arm: Arm, point: str, use: Callable[[], Awaitable[T]]) -> T:
    await fail_once(arm, point, use)
    return await use()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_creation_retried_after_a_failure_has_one_effect(access: Access, kind: str, arm: Arm) -> None:
    executed = kind == "execute_then_raise"
    session = await access.person("Bob")
    bob = await access.identity(session)
    request = IdempotentRequest("k", "POST", "/api/v1/accounts", b"{}", scope="person/1")
    given = AccountIn(name="Eve", email="eve@example.org")
    eve = await fail_and_repeat(
        arm,
        f"access.create_account:{kind}",
        lambda: accounts.create_account(access.deps, given, request=request),
    )
    assert (eve.secret is None, eve.note is None) == (executed, not executed)
    assert eve.account
    link = await fail_and_repeat(
        arm, f"access.create_link:{kind}", lambda: links.create_link(access.deps, bob.account_id)
    )
    assert link.secret
    await links.find_link(access.deps, link.secret)
    again = IdempotentRequest("k2", "POST", "/api/v1/tokens", b"{}", scope="person/1")
    token = await fail_and_repeat(
        arm,
        f"access.create_token:{kind}",
        lambda: tokens.create_personal_token(access.deps, bob, TokenIn(name="laptop"), request=again),
    )
    assert (token.token is None) == executed
    assert access.rows("SELECT count(*) FROM access.token") == [{"count": 1}]
    changed = await fail_and_repeat(
        arm,
        f"access.change_account:{kind}",
        lambda: accounts.change_account(access.deps, bob.account_id, ChangeAccount(name="Bo"), version=None),
    )
    assert (changed.name, changed.version) == ("Bo", session.account.version + 1)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_log_in_retried_after_a_failure_begins_a_session(access: Access, kind: str, arm: Arm) -> None:
    await access.person("Bob")
    session = await fail_and_repeat(arm, f"access.log_in:{kind}", lambda: access.log_in("bob@example.org"))
    assert await access.is_valid(session)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_log_in_by_the_provider_that_failed_begins_anew(access: Access, kind: str, arm: Arm) -> None:
    bob = await access.person("Bob")
    access = with_provider(access)
    await fail_and_repeat(arm, f"access.begin_oidc:{kind}", lambda: begin(access))
    session = await fail_and_repeat(arm, f"access.log_in_oidc:{kind}", lambda: log_in(access))
    assert session.account.id == bob.account.id
    identity = await access.identity(session)
    await fail_once(arm, f"access.unlink_oidc:{kind}", lambda: oidc.unlink(access.deps, identity, ISSUER))
    with pytest.raises(NotFoundError) if kind == "execute_then_raise" else nullcontext():
        await oidc.unlink(access.deps, identity, ISSUER)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_passkey_is_added_used_and_removed_once_if_each_step_is_repeated_after_a_failure(
    open_access: OpenAccess, kind: str, arm: Arm
) -> None:
    access, device = open_access(public_url=ORIGIN), Device()
    executed = kind == "execute_then_raise"
    bob = await access.identity(await access.person("Bob"))

    async def use() -> None:
        begun = await passkey_login.begin_log_in(access.deps, address=FROM["address"])
        await passkey_login.log_in(access.deps, device.get(begun.options), secret=begun.secret, **FROM)

    async def remove() -> None:
        for each in await passkeys.list_passkeys(access.deps, bob.account_id):
            await passkeys.remove_passkey(access.deps, bob, each.id)

    await fail_once(arm, f"access.add_passkey:{kind}", lambda: add_passkey(access, bob, device))
    if executed:
        with pytest.raises(ConflictError, match="added already"):
            await add_passkey(access, bob, device)
    else:
        await add_passkey(access, bob, device)
    await fail_and_repeat(arm, f"access.log_in_with_passkey:{kind}", use)
    await fail_and_repeat(arm, f"access.remove_passkey:{kind}", remove)
    assert await passkeys.list_passkeys(access.deps, bob.account_id) == []


async def test_a_link_or_password_whose_use_failed_before_its_effect_works_again(access: Access, arm: Arm) -> None:
    setup = (await links.create_setup_link(access.deps)).secret or ""
    ada = await fail_and_repeat(
        arm,
        "access.redeem_setup_link:raise",
        lambda: links.redeem_setup_link(access.deps, setup, "Ada", "ada@example.org", PASSWORD, **FROM),
    )
    identity = await access.identity(ada)
    link = (await links.create_link(access.deps, ada.account.id)).secret or ""
    await fail_once(arm, "access.redeem_link:raise", lambda: links.redeem_link(access.deps, link, NEW, **FROM))
    changed = await fail_and_repeat(
        arm,
        "access.change_password:raise",
        lambda: login.change_password(access.deps, identity, PASSWORD, NEW, address="192.0.2.7"),
    )
    assert await access.is_valid(changed)


async def test_a_link_or_password_whose_use_failed_after_its_effect_is_used_and_the_password_is_the_new_one(
    access: Access, arm: Arm
) -> None:
    fails = "execute_then_raise"
    setup = (await links.create_setup_link(access.deps)).secret or ""

    async def set_up() -> None:
        await links.redeem_setup_link(access.deps, setup, "Ada", "ada@example.org", PASSWORD, **FROM)

    await fail_once(arm, f"access.redeem_setup_link:{fails}", set_up)
    with pytest.raises(LinkError, match="log in"):
        await set_up()
    ada = await access.log_in("ada@example.org")
    identity = await access.identity(ada)
    await fail_once(
        arm,
        f"access.change_password:{fails}",
        lambda: login.change_password(access.deps, identity, PASSWORD, NEW, address="192.0.2.7"),
    )
    with pytest.raises(UnauthenticatedError):
        await access.log_in("ada@example.org")
    await access.log_in("ada@example.org", NEW)
    link = (await links.create_link(access.deps, ada.account.id)).secret or ""
    await fail_once(arm, f"access.redeem_link:{fails}", lambda: links.redeem_link(access.deps, link, PASSWORD, **FROM))
    with pytest.raises(LinkError, match="log in"):
        await links.redeem_link(access.deps, link, PASSWORD, **FROM)
    await access.log_in("ada@example.org")
