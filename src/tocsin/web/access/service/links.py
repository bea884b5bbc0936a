"""Links with which people choose a password, and with which the first admin creates an account."""

from typing import Final
from uuid import UUID

import structlog

from tocsin.contracts.accounts import AccountIn, AccountKind, Role
from tocsin.contracts.audit import AuditAction
from tocsin.contracts.services import WEB_UI
from tocsin.kernel.audit_entry import Subject
from tocsin.kernel.db import Cursor, autocommit, transaction
from tocsin.kernel.errors import ConflictError
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.ids import new_id
from tocsin.kernel.principal import Principal, PrincipalKind
from tocsin.web.access.domain.bearer_secrets import digest, digest_of_given, new_secret
from tocsin.web.access.domain.links import Link, LinkError, NewLink
from tocsin.web.access.domain.sessions import LogInMethod, NewSession
from tocsin.web.access.repository import accounts, links, sessions
from tocsin.web.access.service import Deps, audit
from tocsin.web.access.service.accounts import require_unique
from tocsin.web.access.service.sessions import begin_session

log = structlog.get_logger(__name__)
CREATE: Final = Failpoint("access.create_link")
REDEEM: Final = Failpoint("access.redeem_link")
REDEEM_SETUP: Final = Failpoint("access.redeem_setup_link")

FIRST_ADMIN: Final = Subject("account", "", "the first admin")
KEY_HOLDER: Final = Principal(PrincipalKind.SERVICE, WEB_UI, frozenset())
"""Whoever can read the key of the web service: `tocsin setup-link`."""


async def create_link(deps: Deps, account_id: UUID) -> NewLink:
    """Create a link for the person of an account to choose a password, in place of the one before.

    The present password works until the link is used. Raise NotFoundError; ConflictError if the account is disabled or
    a program's.
    """
    secret = new_secret()
    async with CREATE(), transaction(deps.db) as cur:
        await accounts.lock_accounts(cur)
        account = await accounts.get_account(cur, account_id)
        if account.kind is not AccountKind.PERSON:
            msg = f"{account.name} is a program's account, which has no password. Create a token for it."
            raise ConflictError(msg)
        if account.disabled_at is not None:
            msg = f"The account of {account.name} is disabled. Enable it first."
            raise ConflictError(msg)
        expires_at = await links.upsert_link(
            cur, new_id(), account_id=account_id, secret_hash=digest(secret), hours=deps.settings.link_hours
        )
        after = {"expires_at": expires_at.isoformat()}
        await audit.record(cur, AuditAction.LINK_CREATE, audit.about(account), after=after)
    log.info("link created", account_id=str(account_id))
    return NewLink(account, secret, expires_at)


async def create_setup_link(deps: Deps) -> NewLink:
    """Create the link with which the first admin creates an account, in place of the one before.

    Raise ConflictError if an admin can log in.
    """
    secret = new_secret()
    async with CREATE(), transaction(deps.db) as cur:
        await accounts.lock_accounts(cur)
        await _require_no_admin(cur)
        expires_at = await links.upsert_link(
            cur, new_id(), account_id=None, secret_hash=digest(secret), hours=deps.settings.link_hours
        )
        after = {"expires_at": expires_at.isoformat()}
        await audit.record(cur, AuditAction.LINK_CREATE, FIRST_ADMIN, after=after, by=KEY_HOLDER)
    log.info("setup link created")
    return NewLink(None, secret, expires_at)


async def find_link(deps: Deps, secret: str) -> Link:
    """Return a link that can be used. Raise LinkError."""
    secret_hash = _hash_of(secret)
    async with autocommit(deps.db) as cur:
        row = await links.find_link(cur, secret_hash)
        if row is None:
            raise LinkError
        account = await accounts.get_account(cur, row["account_id"]) if row["account_id"] else None
    return Link(account, row["expires_at"])


async def redeem_link(deps: Deps, secret: str, password: str, *, address: str, user_agent: str) -> NewSession:
    """Set the password of a link's account, end its sessions and begin a new one.

    Raise LinkError; InvalidRequestError if the password is refused, and the link can be used again.
    """
    account = (await find_link(deps, secret)).account
    if account is None:
        raise LinkError
    await deps.passwords.check(password, [account.name, account.email], pointer="#/password")
    password_hash = await deps.passwords.hash(password)
    async with REDEEM(), transaction(deps.db) as cur:
        await accounts.lock_accounts(cur)
        used = await links.use_link(cur, _hash_of(secret), account_id=account.id)
        if not used or not await accounts.set_password(cur, account.id, password_hash):
            raise LinkError
        await sessions.delete_sessions(cur, account.id)
        by = audit.principal_of(account)
        await audit.record(cur, AuditAction.PASSWORD_CHANGE, audit.about(account), after={"by": "link"}, by=by)
        session = await begin_session(
            cur, deps, account.id, method=LogInMethod.LINK, address=address, user_agent=user_agent
        )
    deps.seen.forget_account(account.id)
    log.info("password chosen", account_id=str(account.id), session_id=str(session.id))
    return session


async def redeem_setup_link(
    deps: Deps, secret: str, name: str, email: str, password: str, *, address: str, user_agent: str
) -> NewSession:
    """Create the first admin and begin a session.

    Raise LinkError; InvalidRequestError if the password is refused; ConflictError if an admin can log in, or if another
    account has the e-mail address.
    """
    if (await find_link(deps, secret)).account is not None:
        raise LinkError
    account_id = new_id()
    given = AccountIn(name=name, email=email, role=Role.ADMIN)
    await deps.passwords.check(password, [name, email], pointer="#/password")
    password_hash = await deps.passwords.hash(password)
    async with REDEEM_SETUP(), transaction(deps.db) as cur:
        await accounts.lock_accounts(cur)
        if not await links.use_link(cur, _hash_of(secret), account_id=None):
            raise LinkError
        await _require_no_admin(cur)
        await require_unique(cur, account_id, given)
        await accounts.insert_account(cur, account_id, given, password_hash=password_hash)
        account = await accounts.get_account(cur, account_id)
        by, after = audit.principal_of(account), audit.fields_of(account)
        await audit.record(cur, AuditAction.ACCOUNT_SETUP, audit.about(account), after=after, by=by)
        session = await begin_session(
            cur, deps, account_id, method=LogInMethod.LINK, address=address, user_agent=user_agent
        )
    log.info("first admin created", account_id=str(account_id), session_id=str(session.id))
    return session


async def _require_no_admin(cur: Cursor) -> None:
    if await accounts.count_admins(cur):
        msg = "There is an admin already. Log in, or ask an admin for an account or a new link."
        raise ConflictError(msg)


def _hash_of(secret: str) -> bytes:
    secret_hash = digest_of_given(secret)
    if secret_hash is None:
        raise LinkError
    return secret_hash
