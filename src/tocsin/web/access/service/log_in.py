"""Log in with a password."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from math import ceil
from typing import Final
from uuid import UUID

import structlog

from tocsin.kernel.db import autocommit, transaction
from tocsin.kernel.errors import ThrottledError, UnauthenticatedError, UnavailableError
from tocsin.web.access.repository import accounts, throttle
from tocsin.web.access.service import Deps
from tocsin.web.access.service.sessions import Browser, NewSession, start_session

log = structlog.get_logger(__name__)
REFUSED: Final = "That e-mail address and password do not match."
"""The same for an unknown address, a disabled account and a wrong password."""
SCHEME: Final = "Session"


async def log_in(deps: Deps, email: str, password: str, browser: Browser) -> NewSession:
    """Begin a session of the account with *email* and *password*.

    Raise UnauthenticatedError if there is none; ThrottledError after too many attempts for the address or from the
    browser's network address within a minute.
    """
    account_id = await prove_password(deps, email, password, address=browser.address)
    async with transaction(deps.db) as cur:
        return await start_session(cur, deps, account_id, browser)


async def prove_password(deps: Deps, email: str, password: str, *, address: str) -> UUID:
    """Return the account with *email* and *password*; raises like `log_in`."""
    keys = _keys(email, address)
    async with autocommit(deps.db) as cur:
        await _throttle(deps, await throttle.count_attempts(cur, keys))
        found = await accounts.find_password(cur, email.strip())
    # Without a connection: many of these would leave none for acknowledging.
    right = await deps.passwords.verify(found[1] if found else None, password)
    if found is None or not right:
        log.info("log-in refused", address=address)
        raise UnauthenticatedError(REFUSED, scheme=SCHEME)
    account_id, password_hash = found
    new_hash = await deps.passwords.hash(password) if deps.passwords.is_outdated(password_hash) else None
    with suppress(UnavailableError):  # the proof holds, and an attempt too many is forgotten after a minute
        async with transaction(deps.db) as cur:
            await throttle.forget_attempt(cur, keys)
            if new_hash is not None:
                await accounts.set_password(cur, account_id, new_hash)
    return account_id


def _keys(email: str, address: str) -> Sequence[str]:
    """Return what failures are counted by; the e-mail address as a hash, since it may be a mistyped password."""
    name = hashlib.sha256(email.strip().lower().encode(errors="replace")).hexdigest()
    return [f"account {name}", f"address {address}"]


async def _throttle(deps: Deps, counted: Sequence[tuple[int, float]]) -> None:
    """Raise ThrottledError if there were more attempts than allowed."""
    waits = [seconds for attempts, seconds in counted if attempts > deps.settings.login_failures_per_minute]
    if waits:
        seconds = ceil(max(waits))
        msg = f"Too many attempts to log in failed; try again in {seconds} seconds."
        raise ThrottledError(msg, retry_after=seconds)
