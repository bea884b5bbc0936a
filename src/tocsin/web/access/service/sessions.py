"""Sessions: begin, list and end them."""

from uuid import UUID

import structlog

from tocsin.contracts.accounts import Session
from tocsin.contracts.audit import AuditAction
from tocsin.contracts.model import Page
from tocsin.kernel.audit_entry import Subject
from tocsin.kernel.db import Cursor, autocommit, transaction
from tocsin.kernel.errors import NotFoundError
from tocsin.kernel.ids import new_id
from tocsin.kernel.storable_text import storable
from tocsin.web.access.domain.bearer_secrets import PROXY_SESSION, digest, new_secret
from tocsin.web.access.domain.identity import Identity
from tocsin.web.access.domain.sessions import LogInMethod, NewSession
from tocsin.web.access.queries import SessionsQuery
from tocsin.web.access.repository import accounts, sessions
from tocsin.web.access.service import Deps, audit

log = structlog.get_logger(__name__)


async def begin_session(
    cur: Cursor, deps: Deps, account_id: UUID, *, method: LogInMethod, address: str, user_agent: str
) -> NewSession:
    """Begin a session with a secret of its own, whatever the client had before (session fixation)."""
    session_id, secret = new_id(), new_secret(PROXY_SESSION if method is LogInMethod.PROXY else "")
    expires_at = await sessions.insert_session(
        cur,
        session_id,
        account_id=account_id,
        secret_hash=digest(secret),
        address=storable(address),
        user_agent=storable(user_agent),
        lifetime=deps.lifetime,
    )
    account = await accounts.get_account(cur, account_id)
    by = audit.principal_of(account, credential_id=session_id)
    await audit.record(cur, AuditAction.LOG_IN, audit.about(account), after={"method": method}, by=by)
    log.info("logged in", account_id=str(account_id), session_id=str(session_id), method=method)
    return NewSession(session_id, account, secret, expires_at)


async def list_sessions(deps: Deps, identity: Identity, query: SessionsQuery) -> Page[Session]:
    """Return a page of the sessions of one's account, newest first."""
    async with autocommit(deps.db) as cur:
        found, cursor = await sessions.list_sessions(cur, identity.account_id, query, current=identity.session_id)
    return Page[Session](items=found, next_cursor=cursor)


async def end_session(deps: Deps, identity: Identity, session_id: UUID) -> None:
    """End a session of one's account, also the present one: that is to log out. Raise NotFoundError."""
    action = AuditAction.LOG_OUT if session_id == identity.session_id else AuditAction.SESSION_END
    async with transaction(deps.db) as cur:
        ended = await sessions.delete_session(cur, identity.account_id, session_id)
        if ended:
            subject = Subject("session", session_id, f"session of {identity.name}")
            await audit.record(cur, action, subject, by=identity.principal)
    deps.seen.forget_account(identity.account_id)
    if not ended:
        msg = f"There is no session {session_id} of this account. It may have ended already."
        raise NotFoundError(msg)
    log.info("session ended", account_id=str(identity.account_id), session_id=str(session_id))


async def end_other_sessions(deps: Deps, identity: Identity) -> int:
    """End the sessions of one's account except for the present one. Return how many have ended."""
    async with transaction(deps.db) as cur:
        ended = await sessions.delete_sessions(cur, identity.account_id, except_for=identity.session_id)
        if ended:
            subject = Subject("account", identity.account_id, identity.name)
            await audit.record(cur, AuditAction.SESSION_END, subject, after={"sessions": ended}, by=identity.principal)
    deps.seen.forget_account(identity.account_id)
    log.info("other sessions ended", account_id=str(identity.account_id), sessions=ended)
    return ended
