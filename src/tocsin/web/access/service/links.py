"""Links that work once: the first admin's, and those with which people choose a password."""

from datetime import datetime
from typing import Final
from uuid import UUID

import structlog

from tocsin.contracts.accounts import AccountIn, Role, SetupLink
from tocsin.kernel.db import Cursor, Row, autocommit, transaction
from tocsin.kernel.errors import ConflictError, NotFoundError
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.ids import new_id
from tocsin.web.access.domain.secret_values import digest_of, new_secret
from tocsin.web.access.repository import accounts, links, sessions
from tocsin.web.access.service import Deps
from tocsin.web.access.service.password_hashing import require_good_password
from tocsin.web.access.service.sessions import Browser, NewSession, start_session

log = structlog.get_logger(__name__)
SET_UP: Final = Failpoint("access.set_up")
SETUP_PATH: Final = "/setup"
CHOOSE_PATH: Final = "/choose-password"
GONE: Final = "This link is not valid: it works once, for a limited time, and a newer one replaces it. "
ASK: Final = GONE + "For a new one, ask an admin."
RUN: Final = GONE + "For a new one, run `tocsin setup-link` on the server."


async def create_setup_link(deps: Deps) -> SetupLink:
    """Create the link of the first admin; the one before stops working. Raise ConflictError if there is an admin."""
    async with transaction(deps.db) as cur:
        await accounts.lock_accounts(cur)
        if await accounts.has_admin(cur):
            msg = "There is an admin already, who can invite others and create links: log in."
            raise ConflictError(msg)
        secret = new_secret()
        expires_at = await _replace(cur, deps, None, secret)
    return SetupLink(url=_url(deps, SETUP_PATH, secret), expires_at=expires_at)


async def create_first_setup_link(deps: Deps) -> SetupLink | None:
    """Create the link of the first admin, unless there is an admin or such a link already."""
    async with autocommit(deps.db) as cur:
        if await accounts.has_admin(cur) or await links.has_setup_link(cur):
            return None
    return await create_setup_link(deps)


async def replace_link(cur: Cursor, deps: Deps, account_id: UUID) -> str:
    """Create the link with which an account's person chooses a password; the one before stops working."""
    secret = new_secret()
    await _replace(cur, deps, account_id, secret)
    return _url(deps, CHOOSE_PATH, secret)


async def find_link(deps: Deps, secret: str) -> Row:
    """Return a valid link, with the name and e-mail address of its account. Raise NotFoundError."""
    digest = digest_of(secret)
    async with autocommit(deps.db) as cur:
        found = await links.find_link(cur, digest) if digest else None
    if found is None:
        raise NotFoundError(ASK)
    return found


async def set_up(deps: Deps, secret: str, given: AccountIn, password: str, browser: Browser) -> NewSession:
    """Create the account of the first admin, and begin a session of it.

    Raise NotFoundError if the link is not valid, InvalidRequestError if the password is weak, ConflictError if another
    account has the e-mail address.
    """
    digest = digest_of(secret)
    if digest is None:
        raise NotFoundError(RUN)
    await require_good_password(password, given.name, given.email)
    password_hash = await deps.passwords.hash(password)
    account_id = new_id()
    admin = given.model_copy(update={"role": Role.ADMIN})
    async with SET_UP(), transaction(deps.db) as cur:
        await accounts.lock_accounts(cur)
        link = await links.use_link(cur, digest)
        if link is None or link["account_id"] is not None or await accounts.has_admin(cur):
            raise NotFoundError(RUN)
        if not await accounts.insert_account(cur, account_id, admin, password_hash):
            msg = f"Another account has the e-mail address {given.email}: use another one."
            raise ConflictError(msg)
        session = await start_session(cur, deps, account_id, browser)
    log.info("first admin created", account_id=str(account_id))
    return session


async def choose_password(deps: Deps, secret: str, password: str, browser: Browser) -> NewSession:
    """Set the password of the account that the link is for, end its sessions, and begin a new one.

    Raise NotFoundError if the link is not valid, InvalidRequestError if the password is weak.
    """
    found = await find_link(deps, secret)
    if found["account_id"] is None:
        raise NotFoundError(ASK)
    await require_good_password(password, found["name"], found["email"])
    password_hash = await deps.passwords.hash(password)
    async with SET_UP(), transaction(deps.db) as cur:
        link = await links.use_link(cur, digest_of(secret) or b"")
        if link is None:
            raise NotFoundError(ASK)
        await accounts.set_password(cur, link["account_id"], password_hash)
        await sessions.delete_sessions(cur, link["account_id"])
        return await start_session(cur, deps, link["account_id"], browser)


async def _replace(cur: Cursor, deps: Deps, account_id: UUID | None, secret: str) -> datetime:
    return await links.replace_link(
        cur, new_id(), account_id=account_id, secret_hash=digest_of(secret) or b"", hours=deps.settings.link_hours
    )


def _url(deps: Deps, path: str, secret: str) -> str:
    base = deps.settings.public_url or f"http://127.0.0.1:{deps.settings.port}"
    return f"{base}{path}?key={secret}"
