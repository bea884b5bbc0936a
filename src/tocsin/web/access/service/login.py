"""Log in with an e-mail address and a password, and change the password."""

from functools import partial
from typing import Final

import structlog

from tocsin.contracts.audit import AuditAction
from tocsin.kernel.audit_entry import Subject
from tocsin.kernel.client_network import network_of
from tocsin.kernel.db import Cursor, transaction
from tocsin.kernel.errors import ForbiddenError, ThrottledError, UnauthenticatedError, UnavailableError
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.storable_text import storable
from tocsin.web.access.domain.bearer_secrets import digest, new_secret
from tocsin.web.access.domain.identity import Identity
from tocsin.web.access.domain.sessions import LogInMethod, NewSession, is_same_address
from tocsin.web.access.repository import accounts, links, sessions, throttle
from tocsin.web.access.repository.accounts import Credentials
from tocsin.web.access.repository.throttle import Count
from tocsin.web.access.service import Deps, audit
from tocsin.web.access.service.sessions import begin_session

log = structlog.get_logger(__name__)
LOG_IN: Final = Failpoint("access.log_in")
CHANGE_PASSWORD: Final = Failpoint("access.change_password")
SCHEME: Final = "Session"
"""The name of logging in, which has no authentication scheme of HTTP."""
WRONG: Final = "The e-mail address or the password is wrong."
NO_ACCOUNT: Final = (
    "Nobody with this e-mail address has an account that can be used. An admin can add one on the page Accounts."
)
ENDED: Final = "Your session has ended. Log in again."


async def log_in(deps: Deps, email: str, password: str, *, address: str, user_agent: str) -> NewSession:
    """Begin a session of the account with an e-mail address and a password.

    Raise UnauthenticatedError if they are wrong, which does not tell whether such an account exists; ThrottledError
    after too many failures; UnavailableError if that cannot be found out.
    """
    begin = partial(_begin, deps, email, password, address=address, user_agent=user_agent)
    session = await begin() or await begin()
    if session is None:
        raise UnauthenticatedError(WRONG, scheme=SCHEME)
    return session


async def _begin(deps: Deps, email: str, password: str, *, address: str, user_agent: str) -> NewSession | None:
    """Log in; return None if the account changed while the password was checked: a concurrent log-in renews its hash.

    Raise what `log_in` raises.
    """
    known, counts = await verify(deps, email, password, address=address)
    outdated = deps.passwords.is_outdated(known.password_hash)
    renewed = await deps.passwords.hash(password) if outdated else None
    async with LOG_IN(), transaction(deps.db) as cur:
        unchanged = accounts.renew_hash(cur, known, renewed) if renewed else accounts.lock_credentials(cur, known)
        if not await unchanged:
            await throttle.give_back(cur, counts)
            return None
        session = await begin_session(
            cur, deps, known.account_id, method=LogInMethod.PASSWORD, address=address, user_agent=user_agent
        )
        await throttle.give_back(cur, counts)
    return session


async def log_in_by_proxy(deps: Deps, email: str, *, address: str, user_agent: str) -> NewSession:
    """Begin a session of the account with the e-mail address that a trusted proxy states.

    Raise ForbiddenError if there is no such account, or if it is disabled; UnavailableError.
    """
    email = storable(email)
    async with transaction(deps.db) as cur:
        account = await accounts.find_account(cur, email=email)
        if account is None or account.disabled_at is not None or not is_same_address(email, account.email):
            audit.refuse_log_in(audit.about(account) if account else None, "no such account, stated by a proxy")
            log.info("log-in by proxy refused", account_id=str(account.id) if account else None)
            raise ForbiddenError(NO_ACCOUNT)
        return await begin_session(
            cur, deps, account.id, method=LogInMethod.PROXY, address=address, user_agent=user_agent
        )


async def change_password(
    deps: Deps, identity: Identity, current_password: str, new_password: str, *, address: str
) -> NewSession:
    """Change one's password, end one's other sessions, and return the present one with another secret.

    Raise ForbiddenError without a session; UnauthenticatedError if the present password is wrong or the session has
    ended; InvalidRequestError if the new one is refused; ThrottledError after too many failures.
    """
    if identity.session_id is None or identity.email is None:
        msg = "Log in to change the password: a token cannot."
        raise ForbiddenError(msg)
    await deps.passwords.check(new_password, [identity.name, identity.email], pointer="#/new_password")
    known, counts = await verify(deps, identity.email, current_password, address=address)
    password_hash = await deps.passwords.hash(new_password)
    secret = new_secret()
    async with CHANGE_PASSWORD(), transaction(deps.db) as cur:
        await accounts.lock_accounts(cur)
        if known.account_id != identity.account_id or not await accounts.lock_credentials(cur, known):
            raise UnauthenticatedError(WRONG, scheme=SCHEME)
        expires_at = await sessions.rotate_secret(cur, identity.session_id, digest(secret))
        if expires_at is None:
            raise UnauthenticatedError(ENDED, scheme=SCHEME)
        await accounts.set_password(cur, known.account_id, password_hash)
        await sessions.delete_sessions(cur, known.account_id, except_for=identity.session_id)
        await links.delete_link(cur, known.account_id)
        await throttle.give_back(cur, counts)
        account = await accounts.get_account(cur, known.account_id)
        after = {"by": "the password before"}
        await audit.record(cur, AuditAction.PASSWORD_CHANGE, audit.about(account), after=after, by=identity.principal)
    deps.seen.forget_account(account.id)
    log.info("password changed", account_id=str(account.id))
    return NewSession(identity.session_id, account, secret, expires_at)


async def verify(deps: Deps, email: str, password: str, *, address: str) -> tuple[Credentials, list[Count]]:
    """Return the account with an e-mail address and a password, and the counts to give back once that has an effect.

    Each attempt is counted before its password is checked, so that concurrent ones cannot exceed the limit. No
    connection is held meanwhile. Raise UnauthenticatedError, ThrottledError and UnavailableError as `log_in` does.
    """
    email = storable(email)
    async with transaction(deps.db) as cur:
        counts = [
            await count_attempt(cur, "address", network_of(address), limit=deps.settings.address_failures_per_minute),
            await count_attempt(cur, "account", email, limit=deps.settings.login_failures_per_minute),
        ]
        known = await accounts.find_credentials(cur, email)
    try:
        matches = await deps.passwords.verify(known.password_hash if known else None, password)
    except UnavailableError:
        async with transaction(deps.db) as cur:
            await throttle.give_back(cur, counts)
        raise
    if known is None or not matches:
        account = None if known is None else Subject("account", known.account_id, known.name)
        audit.refuse_log_in(account, "wrong password")
        account_id = str(known.account_id) if known else None
        log.info("log-in refused", account_id=account_id, address=storable(address))
        raise UnauthenticatedError(WRONG, scheme=SCHEME)
    return known, counts


async def count_attempt(cur: Cursor, kind: str, name: str, *, limit: int) -> Count:
    """Count an attempt to log in, and return it, to be given back if it succeeds. Raise ThrottledError."""
    count = await throttle.count_attempt(cur, kind, name, limit=limit)
    if count is None:
        audit.refuse_log_in(None, f"too many failures by {kind}")
        seconds = await throttle.seconds_left(cur, kind, name)
        log.info("log-in throttled", by=kind, seconds=seconds)
        msg = f"Too many log-ins failed. Try again in {seconds} seconds."
        raise ThrottledError(msg, retry_after=seconds)
    return count
