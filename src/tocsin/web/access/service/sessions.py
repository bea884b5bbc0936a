"""Sessions: log-ins in browsers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog

from tocsin.contracts.accounts import Session
from tocsin.kernel.db import Cursor, autocommit
from tocsin.kernel.errors import NotFoundError
from tocsin.kernel.ids import new_id
from tocsin.web.access.domain.secret_values import digest_of, new_secret
from tocsin.web.access.repository import sessions
from tocsin.web.access.service import Deps

log = structlog.get_logger(__name__)
MAX_AGENT: Final = 200


@dataclass(frozen=True, slots=True)
class Browser:
    """From where somebody logs in."""

    address: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session that has just begun."""

    account_id: UUID
    secret: str = field(repr=False)
    expires_at: datetime


async def start_session(cur: Cursor, deps: Deps, account_id: UUID, browser: Browser) -> NewSession:
    """Insert a session with a secret of its own: what a browser had before the log-in proves nothing after it."""
    secret, session_id = new_secret(), new_id()
    row = await sessions.insert_session(
        cur,
        session_id,
        account_id=account_id,
        secret_hash=digest_of(secret) or b"",
        address=browser.address,
        user_agent=browser.user_agent[:MAX_AGENT],
        days=deps.settings.session_days,
    )
    log.info("logged in", account_id=str(account_id), session_id=str(session_id))
    return NewSession(account_id, secret, row["expires_at"])


async def list_sessions(deps: Deps, account_id: UUID, current: UUID | None) -> Sequence[Session]:
    """Return the valid sessions of an account, newest first; *current* is the one that asks."""
    async with autocommit(deps.db) as cur:
        rows = await sessions.list_sessions(cur, account_id, idle_days=deps.settings.session_idle_days)
    return [Session(**row, current=row["id"] == current) for row in rows]


async def end_session(deps: Deps, account_id: UUID, session_id: UUID) -> None:
    """End a session of an account. Raise NotFoundError."""
    async with autocommit(deps.db) as cur:
        if not await sessions.delete_sessions(cur, account_id, session_id=session_id):
            msg = f"This account has no session {session_id}: it may have ended already."
            raise NotFoundError(msg)


async def end_other_sessions(deps: Deps, account_id: UUID, current: UUID | None) -> int:
    """End all sessions of an account but *current*; return their number."""
    async with autocommit(deps.db) as cur:
        return await sessions.delete_sessions(cur, account_id, but=current)


async def log_out(deps: Deps, secret: str) -> None:
    """End the session with this secret, if there is one."""
    if digest := digest_of(secret):
        async with autocommit(deps.db) as cur:
            await sessions.delete_session(cur, digest)
