"""Passkeys: add, list and remove them."""

from typing import Final
from uuid import UUID

import structlog

from tocsin.contracts.accounts import Account, Passkey
from tocsin.contracts.audit import AuditAction
from tocsin.kernel.audit_entry import Subject
from tocsin.kernel.db import autocommit, transaction
from tocsin.kernel.errors import ConflictError, ForbiddenError, InvalidRequestError, NotFoundError, UnauthenticatedError
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.ids import new_id
from tocsin.kernel.storable_text import storable
from tocsin.web.access.domain.bearer_secrets import digest, digest_of_given, new_secret
from tocsin.web.access.domain.identity import Identity
from tocsin.web.access.domain.passkeys import (
    MAX_PASSKEYS,
    NewChallenge,
    PasskeyRefusedError,
    RelyingParty,
    creation_options,
    new_credential,
    relying_party_of,
)
from tocsin.web.access.repository import accounts, passkeys, sessions, throttle
from tocsin.web.access.service import Deps, audit
from tocsin.web.access.service.accounts import require_an_admin
from tocsin.web.access.service.login import SCHEME, WRONG, verify

log = structlog.get_logger(__name__)
ADD: Final = Failpoint("access.add_passkey")
REMOVE: Final = Failpoint("access.remove_passkey")
NEEDS_SESSION: Final = "Log in to add or remove a passkey: a token cannot."
TOO_LATE: Final = "That took longer than five minutes, or was begun again in another window. Try again."
REFUSED: Final = "The browser's passkey could not be checked. Try again, or with another device."
NOT_RECENT: Final = "You logged in more than ten minutes ago. Log out and in again, and then add the passkey."
BY_PROXY: Final = (
    "You are logged in by your company's proxy, and a passkey would also work without it. Ask an admin for a link to"
    " choose a password first."
)
FULL: Final = f"An account has at most {MAX_PASSKEYS} passkeys. Remove one that you no longer use."
EXISTS: Final = "This passkey was added already."


def unavailability(deps: Deps) -> str | None:
    """Return why there are no passkeys, and what an operator can set; None if there are."""
    try:
        party_of(deps)
    except ConflictError as exc:
        return str(exc)
    return None


def origin_of(deps: Deps) -> str | None:
    """Return the only origin whose pages have passkeys; None if there are none."""
    return None if unavailability(deps) else party_of(deps).origin


def party_of(deps: Deps) -> RelyingParty:
    """Return the host and the origin of passkeys. Raise ConflictError if browsers allow none there."""
    return relying_party_of(deps.settings.public_url)


async def list_passkeys(deps: Deps, account_id: UUID) -> list[Passkey]:
    """Return the passkeys of an account, newest first."""
    async with autocommit(deps.db) as cur:
        return await passkeys.list_passkeys(cur, account_id)


async def begin_adding(deps: Deps, identity: Identity, password: str, *, address: str) -> NewChallenge:
    """Return the challenge with which a browser creates a passkey of one's account.

    Somebody with a password enters it again; others must have logged in within the last ten minutes. Raise
    ForbiddenError without such a session; UnauthenticatedError if the password is wrong; ThrottledError after too many
    failures; ConflictError if there can be no passkeys or no further one.
    """
    party = party_of(deps)
    if identity.session_id is None or identity.email is None:
        raise ForbiddenError(NEEDS_SESSION)
    async with autocommit(deps.db) as cur:
        account = await accounts.get_account(cur, identity.account_id)
        is_recent = await sessions.is_recent(cur, identity.session_id)
    if not account.has_password and identity.by_proxy:
        raise ForbiddenError(BY_PROXY)
    if not account.has_password and not is_recent:
        raise ForbiddenError(NOT_RECENT)
    counts: list[throttle.Count] = []
    if account.has_password:
        known, counts = await verify(deps, identity.email, password, address=address)
        if known.account_id != identity.account_id:
            raise UnauthenticatedError(WRONG, scheme=SCHEME)
    secret = new_secret()
    async with transaction(deps.db) as cur:
        await throttle.give_back(cur, counts)
        present = await passkeys.list_credentials(cur, account.id)
        if len(present) < MAX_PASSKEYS:
            await passkeys.insert_challenge(cur, digest(secret), account_id=account.id)
    if len(present) >= MAX_PASSKEYS:
        raise ConflictError(FULL)
    return NewChallenge(creation_options(party, account, present, digest(secret)), secret)


async def add_passkey(deps: Deps, identity: Identity, name: str, response: str, *, secret: str) -> None:
    """Add the passkey that a browser has created.

    Raise InvalidRequestError if the response proves none or comes too late; ConflictError if the passkey is known or
    there are too many, or if the account has been disabled.
    """
    party, challenge = party_of(deps), digest_of_given(secret)
    async with autocommit(deps.db) as cur:
        used = challenge and await passkeys.use_challenge(cur, challenge, account_id=identity.account_id)
    if not used or not challenge:
        raise InvalidRequestError([{"pointer": "#/credential", "detail": TOO_LATE}], TOO_LATE)
    try:
        new = new_credential(response, party, challenge)
    except PasskeyRefusedError as exc:
        log.info("passkey not added", account_id=str(identity.account_id), reason=storable(str(exc)))
        raise InvalidRequestError([{"pointer": "#/credential", "detail": REFUSED}], REFUSED) from exc
    passkey_id = new_id()
    async with ADD(), transaction(deps.db) as cur:
        await accounts.lock_accounts(cur)
        account = await accounts.get_account(cur, identity.account_id)
        if account.disabled_at is not None:
            msg = "This account is disabled."
            raise ConflictError(msg)
        if account.passkeys >= MAX_PASSKEYS:
            raise ConflictError(FULL)
        if not await passkeys.insert_passkey(cur, passkey_id, new, account_id=account.id, name=name):
            raise ConflictError(EXISTS)
        await audit.record(cur, AuditAction.PASSKEY_ADD, Subject("passkey", passkey_id, name))
    log.info("passkey added", account_id=str(account.id), passkey_id=str(passkey_id))


async def remove_passkey(deps: Deps, identity: Identity, passkey_id: UUID) -> Passkey:
    """Remove a passkey of one's account, and return it.

    Raise NotFoundError; ForbiddenError without a session; ConflictError if one could not log in any more.
    """
    async with REMOVE(), transaction(deps.db) as cur:
        await accounts.lock_accounts(cur)
        account = await accounts.get_account(cur, identity.account_id)
        present = await passkeys.list_passkeys(cur, account.id)
        found = next((each for each in present if each.id == passkey_id), None)
        if found is None:
            msg = f"The account has no passkey {passkey_id}. It may have been removed already."
            raise NotFoundError(msg)
        if identity.session_id is None:
            raise ForbiddenError(NEEDS_SESSION)
        if len(present) == 1 and not account.has_password:
            msg = (
                "This is your only way to log in. Add another passkey first, or ask an admin for a link to a password."
            )
            raise ConflictError(msg)
        await passkeys.delete_passkey(cur, account.id, passkey_id)
        await audit.record(cur, AuditAction.PASSKEY_REMOVE, Subject("passkey", found.id, found.name))
    log.info("passkey removed", account_id=str(account.id), passkey_id=str(passkey_id))
    return found


async def remove_passkeys(deps: Deps, account_id: UUID) -> Account:
    """Remove every passkey of an account and end its sessions, as after a loss; for admins.

    Raise NotFoundError; ConflictError if no admin could log in afterwards.
    """
    async with REMOVE(), transaction(deps.db) as cur:
        await accounts.lock_accounts(cur)
        account = await accounts.get_account(cur, account_id)
        without = account.model_copy(update={"passkeys": 0})
        await require_an_admin(cur, account, without, disabled=account.disabled_at is not None)
        for each in await passkeys.list_passkeys(cur, account_id):
            subject, before = Subject("passkey", each.id, each.name), {"account": account.name}
            await audit.record(cur, AuditAction.PASSKEY_REMOVE, subject, before=before)
        removed = await passkeys.delete_passkeys(cur, account_id)
        await sessions.delete_sessions(cur, account_id)
    deps.seen.forget_account(account_id)
    log.info("passkeys removed", account_id=str(account_id), passkeys=removed)
    return without
