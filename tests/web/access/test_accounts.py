"""Accounts: created, listed, changed, disabled."""

import asyncio
from typing import Any

import pytest
from pydantic import ValidationError

from tests.web.access.conftest import FROM, PASSWORD, Access, OpenAccess
from tocsin.contracts.accounts import Account, AccountIn, AccountKind, ChangeAccount, Role
from tocsin.kernel.errors import (
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    StaleError,
    UnauthenticatedError,
)
from tocsin.kernel.idempotent_request import IdempotentRequest
from tocsin.kernel.ids import new_id
from tocsin.web.access.domain.links import LinkError
from tocsin.web.access.queries import AccountsQuery
from tocsin.web.access.service import accounts, links
from tocsin.web.access.service.accounts import change_account, create_account, get_account, list_accounts

EVE = AccountIn(name="Eve", email="eve@example.org")
REQUEST = IdempotentRequest("k", "POST", "/api/v1/accounts", b"{}", scope="person/1")


async def test_a_person_gets_a_link_and_a_program_none(access: Access) -> None:
    eve = await create_account(access.deps, EVE, request=None)
    assert eve.account
    assert eve.secret
    assert (eve.account.has_password, eve.account.role, eve.account.version) == (False, Role.RESPONDER, 1)
    assert await get_account(access.deps, eve.account.id) == eve.account
    given = AccountIn(kind=AccountKind.SERVICE, name="ci", role=Role.SENDER)
    program = await create_account(access.deps, given, request=None)
    assert (program.secret, program.expires_at) == (None, None)
    with pytest.raises(ConflictError, match="Create a token"):
        await links.create_link(access.deps, program.account.id if program.account else new_id())


async def test_a_repeated_creation_returns_the_account_without_its_link_and_says_why(access: Access) -> None:
    first, second = [await create_account(access.deps, EVE, request=REQUEST) for _ in range(2)]
    assert (second.account, second.secret) == (first.account, None)
    assert "create a new link" in (second.note or "")
    assert first.secret
    await links.redeem_link(access.deps, first.secret, PASSWORD, **FROM)


@pytest.mark.parametrize(
    "given",
    [
        {"name": "Eve"},
        {"name": "Eve", "email": "eve@example.org", "role": "sender"},
        {"kind": "service", "name": "ci", "email": "ci@example.org"},
        {"kind": "service", "name": "ci", "person_id": new_id()},
    ],
)
def test_a_kind_has_what_belongs_to_it(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AccountIn.model_validate(given)


async def test_an_e_mail_address_and_a_person_have_one_account(access: Access) -> None:
    person_id = new_id()
    bob = await access.person("Bob", person_id=person_id)
    eve = await access.person("Eve")
    for given in (
        AccountIn(name="Bobby", email="BOB@example.org"),
        AccountIn(name="Bobby", email="bobby@example.org", person_id=person_id),
    ):
        with pytest.raises(ConflictError, match=str(bob.account.id)):
            await create_account(access.deps, given, request=None)
    for change in (ChangeAccount(email="BOB@example.org"), ChangeAccount(person_id=person_id)):
        with pytest.raises(ConflictError, match=str(bob.account.id)):
            await change_account(access.deps, eve.account.id, change, version=None)
    upper = await change_account(access.deps, bob.account.id, ChangeAccount(email="BOB@example.org"), version=None)
    assert upper.email == "BOB@example.org", "one's own address does not stand in the way"


async def test_of_two_concurrent_creations_with_one_address_one_wins(open_access: OpenAccess) -> None:
    results = await asyncio.gather(
        *(create_account(open_access().deps, EVE, request=None) for _ in range(2)), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["ConflictError", "NewLink"]


async def test_accounts_are_listed_newest_first_and_filtered(access: Access) -> None:
    await access.first_admin()
    for name in ("Bob", "Eve"):
        await access.person(name)
    await access.program()

    async def names(**query: Any) -> list[str]:
        page = await list_accounts(access.deps, AccountsQuery(**query))
        return [account.name for account in page.items]

    assert await names() == ["pipeline", "Eve", "Bob", "Ada"]
    assert await names(kind="service") == ["pipeline"]
    assert await names(role="admin") == ["Ada"]
    assert await names(q="EVE@") == ["Eve"]
    page = await list_accounts(access.deps, AccountsQuery(limit=3))
    assert await names(cursor=page.next_cursor) == ["Ada"]


async def test_a_change_has_a_version(access: Access) -> None:
    account = (await access.person("Bob")).account
    person_id = new_id()
    changed = await change_account(
        access.deps, account.id, ChangeAccount(name="Bo", person_id=person_id), version=account.version
    )
    assert (changed.name, changed.person_id, changed.version) == ("Bo", person_id, account.version + 1)
    with pytest.raises(StaleError, match="read the account again"):
        await change_account(access.deps, account.id, ChangeAccount(name="B"), version=account.version)
    same = await change_account(access.deps, account.id, ChangeAccount(name="Bo", disabled=False), version=None)
    assert same == changed
    alone = await change_account(access.deps, account.id, ChangeAccount(person_id=None), version=changed.version)
    assert (alone.name, alone.person_id) == ("Bo", None)
    with pytest.raises(NotFoundError):
        await change_account(access.deps, new_id(), ChangeAccount(name="B"), version=None)


async def test_a_change_to_what_the_kind_cannot_have_is_refused(access: Access) -> None:
    bob, program = (await access.person("Bob")).account, await access.program()
    for account, change in (
        (bob, ChangeAccount(role=Role.SENDER)),
        (program, ChangeAccount(email="ci@example.org")),
        (program, ChangeAccount(person_id=new_id())),
    ):
        with pytest.raises(InvalidRequestError):
            await change_account(access.deps, account.id, change, version=None)


async def test_a_disabled_account_keeps_its_data_and_can_be_enabled(access: Access) -> None:
    bob = (await access.person("Bob")).account
    disabled = await change_account(access.deps, bob.id, ChangeAccount(disabled=True), version=None)
    assert disabled.disabled_at
    with pytest.raises(UnauthenticatedError):
        await access.log_in("bob@example.org")
    with pytest.raises(ConflictError, match="Enable it first"):
        await links.create_link(access.deps, bob.id)
    with pytest.raises(ConflictError, match="is disabled"):
        await create_account(access.deps, AccountIn(name="Bob", email="bob@example.org"), request=None)
    again = await change_account(access.deps, bob.id, ChangeAccount(disabled=True, name="Bo"), version=None)
    assert again.disabled_at == disabled.disabled_at
    await change_account(access.deps, bob.id, ChangeAccount(disabled=False), version=None)
    await access.log_in("bob@example.org")


@pytest.mark.parametrize("change", [ChangeAccount(email="other@example.org"), ChangeAccount(disabled=True)])
async def test_another_address_or_disabling_ends_the_link(access: Access, change: ChangeAccount) -> None:
    eve = await create_account(access.deps, EVE, request=None)
    assert eve.account
    assert eve.secret
    await change_account(access.deps, eve.account.id, change, version=None)
    with pytest.raises(LinkError):
        await links.find_link(access.deps, eve.secret)


@pytest.mark.parametrize("change", [ChangeAccount(disabled=True), ChangeAccount(role=Role.VIEWER)])
async def test_the_last_admin_who_can_log_in_remains_one(access: Access, change: ChangeAccount) -> None:
    ada = (await access.first_admin()).account
    given = AccountIn(name="Kim", email="kim@example.org", role=Role.ADMIN)
    invited = (await create_account(access.deps, given, request=None)).account
    assert invited
    await create_account(
        access.deps, AccountIn(kind=AccountKind.SERVICE, name="terraform", role=Role.ADMIN), request=None
    )
    with pytest.raises(ConflictError, match="Ada is the last admin"):
        await change_account(access.deps, ada.id, change, version=None)
    await change_account(access.deps, ada.id, ChangeAccount(name="Ada L."), version=None)
    await change_account(access.deps, invited.id, ChangeAccount(role=Role.VIEWER), version=None)


async def test_of_two_admins_who_disable_each_other_one_remains(open_access: OpenAccess) -> None:
    replicas = [open_access(), open_access()]
    ada = (await replicas[0].first_admin()).account
    kim = (await replicas[0].person("Kim", role=Role.ADMIN)).account

    async def disable(replica: Access, account: Account, change: ChangeAccount) -> Account:
        return await change_account(replica.deps, account.id, change, version=account.version)

    changes = (ChangeAccount(disabled=True), ChangeAccount(role=Role.VIEWER))
    results = await asyncio.gather(
        *(disable(*given) for given in zip(replicas, (ada, kim), changes, strict=True)), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["Account", "ConflictError"]


async def test_log_ins_and_changes_of_one_account_do_not_deadlock(open_access: OpenAccess) -> None:
    access = open_access(login_failures_per_minute=100, address_failures_per_minute=100)
    bob = (await access.person("Bob")).account

    async def change(name: str) -> None:
        await accounts.change_account(access.deps, bob.id, ChangeAccount(name=name), version=None)

    log_ins = (access.log_in("bob@example.org") for _ in range(8))
    await asyncio.gather(*(change(f"Bob {n}") for n in range(8)), *log_ins)
