"""Accounts: add, change and invite."""

from typing import Final
from uuid import UUID

import structlog

from tocsin.contracts.accounts import Account, AccountIn, AccountKind, ChangeAccount, InvitedAccount, Role
from tocsin.contracts.model import Page
from tocsin.kernel import clock
from tocsin.kernel.db import Cursor, autocommit, transaction
from tocsin.kernel.errors import ConflictError, InvalidRequestError, StaleError
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.idempotency import replay
from tocsin.kernel.idempotent_request import IdempotentRequest
from tocsin.kernel.ids import new_id
from tocsin.kernel.pagination import ListQuery
from tocsin.web.access.repository import accounts, links, sessions
from tocsin.web.access.service import Deps
from tocsin.web.access.service.links import replace_link

log = structlog.get_logger(__name__)
ADD: Final = Failpoint("access.add_account")
CHANGE: Final = Failpoint("access.change_account")
LAST_ADMIN: Final = "This is the last admin who can log in: make another account an admin first."


async def list_accounts(deps: Deps, query: ListQuery) -> Page[Account]:
    """Return a page of accounts, newest first."""
    async with autocommit(deps.db) as cur:
        found, cursor = await accounts.list_accounts(cur, query)
    return Page[Account](items=found, next_cursor=cursor)


async def get_account(deps: Deps, account_id: UUID) -> Account:
    """Return an account. Raise NotFoundError."""
    async with autocommit(deps.db) as cur:
        return await accounts.get_account(cur, account_id)


async def add_account(deps: Deps, given: AccountIn, *, request: IdempotentRequest | None) -> InvitedAccount:
    """Add an account, for a person with a link to choose a password. A retry returns a new link.

    Raise InvalidRequestError; ConflictError if another account has the e-mail address or the person.
    """
    _check(given)
    account_id = new_id()
    async with ADD(), transaction(deps.db) as cur:
        first = await replay(cur, request, account_id)
        if first is None and not await accounts.insert_account(cur, account_id, given):
            raise _taken(given.email)
        added = await accounts.get_account(cur, first or account_id)
        invites = added.kind is AccountKind.PERSON and not added.has_password
        link = await replace_link(cur, deps, added.id) if invites else None
    log.info("account added", account_id=str(added.id), role=added.role)
    return InvitedAccount(**added.model_dump(), link=link)


async def invite_again(deps: Deps, account_id: UUID) -> InvitedAccount:
    """Replace the link with which a person chooses a password. Raise NotFoundError, ConflictError."""
    async with transaction(deps.db) as cur:
        account = await accounts.get_account(cur, account_id)
        if account.kind is not AccountKind.PERSON or account.disabled_at is not None:
            msg = f"{account.name} cannot log in: it is disabled, or the account of a program."
            raise ConflictError(msg)
        link = await replace_link(cur, deps, account_id)
    return InvitedAccount(**account.model_dump(), link=link)


async def change_account(deps: Deps, account_id: UUID, change: ChangeAccount, *, version: int | None = None) -> Account:
    """Change an account. Equal values are a no-op. A new role, or disabling, ends its sessions.

    Raise NotFoundError; StaleError if *version* is given and is not the current one; ConflictError if another account
    has the e-mail address or the person, or if no admin would be left.
    """
    async with CHANGE(), transaction(deps.db) as cur:
        await accounts.lock_accounts(cur)
        account = await accounts.get_account(cur, account_id)
        if version is not None and version != account.version:
            msg = f"{account.name} has changed since version {version}: read the account again and repeat the change."
            raise StaleError(msg)
        wanted = _changed(account, change)
        if wanted == account:
            return account
        await _keep_an_admin(cur, account, wanted)
        if not await accounts.update_account(cur, wanted):
            raise _taken(wanted.email)
        if wanted.role is not account.role or wanted.disabled_at is not None:
            await sessions.delete_sessions(cur, account_id)
        if wanted.disabled_at is not None:
            await links.delete_link(cur, account_id)
        changed = await accounts.get_account(cur, account_id)
    log.info("account changed", account_id=str(account_id), role=changed.role, disabled=changed.disabled_at is not None)
    return changed


def _changed(account: Account, change: ChangeAccount) -> Account:
    """Return *account* with the changes. Raise InvalidRequestError if they do not fit its kind."""
    values = change.model_dump(exclude_none=True, exclude={"disabled"})
    if change.disabled is not None:
        values["disabled_at"] = (account.disabled_at or clock.now()) if change.disabled else None
    wanted = account.model_copy(update=values)
    _check(AccountIn.model_construct(**wanted.model_dump(include={"kind", "name", "email", "role", "person_id"})))
    return wanted


def _check(given: AccountIn) -> None:
    """Raise InvalidRequestError if the fields of an account do not fit its kind."""
    if given.kind is AccountKind.PERSON and given.email is None:
        raise InvalidRequestError([{"pointer": "#/email", "detail": "A person logs in with an e-mail address."}])
    if given.kind is AccountKind.PERSON and given.role is Role.SENDER:
        raise InvalidRequestError([{"pointer": "#/role", "detail": "Only the account of a program can be a sender."}])
    if given.kind is AccountKind.SERVICE and (given.email is not None or given.person_id is not None):
        detail = "The account of a program has no e-mail address and no person: it has tokens, but no log-in."
        raise InvalidRequestError([{"pointer": "#/kind", "detail": detail}])


async def _keep_an_admin(cur: Cursor, account: Account, wanted: Account) -> None:
    """Raise ConflictError if *account* is the last admin who can log in, and would no longer be."""
    was = account.role is Role.ADMIN and account.disabled_at is None and account.has_password
    stays = wanted.role is Role.ADMIN and wanted.disabled_at is None
    if was and not stays and not await accounts.has_admin(cur, other_than=account.id):
        raise ConflictError(LAST_ADMIN)


def _taken(email: str | None) -> ConflictError:
    return ConflictError(f"Another account has the e-mail address {email}, or belongs to the same person.")
