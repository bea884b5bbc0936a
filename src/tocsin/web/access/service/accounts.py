"""Accounts: create, list, change, disable and enable them."""

from typing import Any, Final
from uuid import UUID

import structlog

from tocsin.contracts.accounts import Account, AccountIn, AccountKind, ChangeAccount, Role
from tocsin.contracts.audit import AuditAction
from tocsin.contracts.model import Page
from tocsin.kernel.db import Cursor, autocommit, transaction
from tocsin.kernel.errors import ConflictError, InvalidRequestError, StaleError
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.idempotency import replay
from tocsin.kernel.idempotent_request import IdempotentRequest
from tocsin.kernel.ids import new_id
from tocsin.web.access.domain.bearer_secrets import digest, new_secret
from tocsin.web.access.domain.links import NO_LINK, NewLink
from tocsin.web.access.queries import AccountsQuery
from tocsin.web.access.repository import accounts, links, sessions
from tocsin.web.access.service import Deps, audit

log = structlog.get_logger(__name__)
CREATE: Final = Failpoint("access.create_account")
CHANGE: Final = Failpoint("access.change_account")


async def list_accounts(deps: Deps, query: AccountsQuery) -> Page[Account]:
    """Return a page of accounts, newest first."""
    async with autocommit(deps.db) as cur:
        found, cursor = await accounts.list_accounts(cur, query)
    return Page[Account](items=found, next_cursor=cursor)


async def get_account(deps: Deps, account_id: UUID) -> Account:
    """Return an account. Raise NotFoundError."""
    async with autocommit(deps.db) as cur:
        return await accounts.get_account(cur, account_id)


async def create_account(deps: Deps, given: AccountIn, *, request: IdempotentRequest | None) -> NewLink:
    """Create an account; a person's gets a link to choose a password.

    A repeated *request* gets the account without its link, which is shown once, and a note that says so. Raise
    ConflictError if another account has the e-mail address or the person.
    """
    account_id, secret = new_id(), new_secret()
    async with CREATE(), transaction(deps.db) as cur:
        await accounts.lock_accounts(cur)
        first = await replay(cur, request, account_id)
        if first is not None:
            account = await accounts.get_account(cur, first)
            note = NO_LINK if account.kind is AccountKind.PERSON else None
            return NewLink(account, None, None, note)
        await require_unique(cur, account_id, given)
        await accounts.insert_account(cur, account_id, given)
        account = await accounts.get_account(cur, account_id)
        if account.kind is AccountKind.PERSON:
            expires_at = await links.upsert_link(
                cur, new_id(), account_id=account_id, secret_hash=digest(secret), hours=deps.settings.link_hours
            )
            created = NewLink(account, secret, expires_at)
        else:
            created = NewLink(account, None, None)
        await audit.record(cur, AuditAction.ACCOUNT_CREATE, audit.about(account), after=audit.fields_of(account))
    log.info("account created", account_id=str(account_id), kind=account.kind, role=account.role)
    return created


async def change_account(deps: Deps, account_id: UUID, change: ChangeAccount, *, version: int | None) -> Account:
    """Change, disable or enable an account. Equal values are a no-op.

    Another role, and disabling, end its sessions. Raise NotFoundError; StaleError if *version* is given and is not the
    current one; InvalidRequestError for what its kind cannot have; ConflictError if another account has the e-mail
    address or the person, or if no admin could log in afterwards.
    """
    async with CHANGE(), transaction(deps.db) as cur:
        await accounts.lock_accounts(cur)
        account = await accounts.get_account(cur, account_id)
        if version is not None and version != account.version:
            msg = f"{account.name} has changed since version {version}: read the account again and repeat the change."
            raise StaleError(msg)
        wanted = account.model_copy(update=_updates(account, change))
        was_disabled = account.disabled_at is not None
        disabled = was_disabled if change.disabled is None else change.disabled
        if wanted == account and disabled == was_disabled:
            return account
        await require_an_admin(cur, account, wanted, disabled=disabled)
        await require_unique(cur, account_id, wanted)
        await accounts.update_account(cur, wanted, disabled=disabled)
        if disabled or wanted.role is not account.role:
            await sessions.delete_sessions(cur, account_id)
        if disabled or wanted.email != account.email:
            await links.delete_link(cur, account_id)
        changed = await accounts.get_account(cur, account_id)
        await _record_change(cur, account, changed)
    deps.seen.forget_account(account_id)
    log.info("account changed", account_id=str(account_id), role=changed.role, disabled=disabled)
    return changed


async def _record_change(cur: Cursor, before: Account, after: Account) -> None:
    action = AuditAction.ACCOUNT_CHANGE
    if (before.disabled_at is None) != (after.disabled_at is None):
        action = AuditAction.ACCOUNT_ENABLE if after.disabled_at is None else AuditAction.ACCOUNT_DISABLE
    old, new = audit.fields_of(before), audit.fields_of(after)
    await audit.record(cur, action, audit.about(after), before=old, after=new)


def _updates(account: Account, change: ChangeAccount) -> dict[str, Any]:
    """Return the new values of columns. Raise InvalidRequestError for what the account's kind cannot have."""
    updates = change.model_dump(include={"name", "email", "role"}, exclude_none=True)
    if "person_id" in change.model_fields_set:
        updates["person_id"] = change.person_id
    if account.kind is AccountKind.SERVICE:
        refused = {name: "only a person's account has it" for name in ("email", "person_id") if updates.get(name)}
    else:
        refused = {"role": "it is for accounts of the kind service"} if updates.get("role") is Role.SENDER else {}
    if refused:
        raise InvalidRequestError([{"pointer": f"#/{name}", "detail": text} for name, text in refused.items()])
    return updates


async def require_an_admin(cur: Cursor, account: Account, wanted: Account, *, disabled: bool) -> None:
    """Raise ConflictError if *account* is the last admin who can log in, and would not be one as *wanted*."""
    could = account.role is Role.ADMIN and account.has_log_in and account.disabled_at is None
    can = wanted.role is Role.ADMIN and wanted.has_log_in and not disabled
    if could and not can and await accounts.count_admins(cur, except_for=account.id) == 0:
        msg = f"{account.name} is the last admin who can log in. Let another admin choose a password first."
        raise ConflictError(msg)


async def require_unique(cur: Cursor, account_id: UUID, wanted: AccountIn | Account) -> None:
    """Raise ConflictError if another account has the e-mail address or the person; the caller has locked accounts."""
    other = await accounts.find_account(cur, email=wanted.email) if wanted.email else None
    if other is not None and other.id != account_id:
        state = ", but is disabled" if other.disabled_at else ""
        msg = (
            f"The account of {other.name} ({other.id}) has the e-mail address {other.email}{state}."
            " Use that account, or another address."
        )
        raise ConflictError(msg)
    other = await accounts.find_account(cur, person_id=wanted.person_id) if wanted.person_id else None
    if other is not None and other.id != account_id:
        msg = (
            f"The account of {other.name} ({other.id}) belongs to this person."
            " Change that account, or leave person_id out."
        )
        raise ConflictError(msg)
