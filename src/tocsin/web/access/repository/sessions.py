"""Sessions: log-ins of accounts."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from tocsin.contracts.accounts import AccountKind, Role, Session
from tocsin.kernel.db import Cursor, execute, fetch_all, fetch_one, required
from tocsin.kernel.pagination import page_of
from tocsin.web.access.domain.identity import SCOPES, Identity
from tocsin.web.access.queries import SessionsQuery


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long a session lasts."""

    idle_days: int
    days: int


@dataclass(frozen=True, slots=True)
class FoundIdentity:
    """An identity as the database has it."""

    identity: Identity
    seconds_left: float | None
    """Until the session or token expires; None if it does not."""
    use_is_recorded: bool
    """Whether its last use was recorded within the last minute."""


def found_identity(row: dict[str, Any], *, scopes: frozenset[Any] | None = None) -> FoundIdentity:
    """Return the identity in a row; *scopes* are those of its role by default."""
    role = Role(row["role"])
    identity = Identity(
        account_id=row["account_id"],
        kind=AccountKind(row["kind"]),
        name=row["name"],
        email=row["email"],
        role=role,
        scopes=SCOPES[role] if scopes is None else scopes,
        person_id=row["person_id"],
        session_id=row.get("session_id"),
        token_id=row.get("token_id"),
    )
    return FoundIdentity(identity, row["seconds_left"], row["use_is_recorded"])


async def find_identity(cur: Cursor, secret_hash: bytes) -> FoundIdentity | None:
    """Return the identity of a session; None if it is unknown or has ended, or if its account is disabled."""
    row = await fetch_one(
        cur,
        """
        SELECT a.id AS account_id, a.kind, a.name, a.email, a.role, a.person_id, s.id AS session_id,
               extract(epoch FROM s.expires_at - tocsin.now())::float8 AS seconds_left,
               s.last_used_at > tocsin.now() - interval '1 minute' AS use_is_recorded
        FROM access.session AS s JOIN access.account AS a ON a.id = s.account_id
        WHERE s.secret_hash = %(secret_hash)s AND s.expires_at > tocsin.now() AND a.disabled_at IS NULL
        """,
        secret_hash=secret_hash,
    )
    return found_identity(row) if row else None


async def insert_session(
    cur: Cursor,
    session_id: UUID,
    *,
    account_id: UUID,
    secret_hash: bytes,
    address: str,
    user_agent: str,
    lifetime: Lifetime,
) -> datetime:
    """Insert a session. Return when it ends if it is not used."""
    row = await fetch_one(
        cur,
        """
        INSERT INTO access.session (id, account_id, secret_hash, address, user_agent, expires_at)
        VALUES (%(id)s, %(account_id)s, %(secret_hash)s, %(address)s, %(user_agent)s,
                tocsin.now() + LEAST(%(idle_days)s, %(days)s) * interval '1 day')
        RETURNING expires_at
        """,
        id=session_id,
        account_id=account_id,
        secret_hash=secret_hash,
        address=address,
        user_agent=user_agent,
        idle_days=lifetime.idle_days,
        days=lifetime.days,
    )
    expires_at: datetime = required(row)["expires_at"]
    return expires_at


async def record_use(cur: Cursor, session_id: UUID, lifetime: Lifetime) -> None:
    """Postpone the end of a session, unless a concurrent request is doing it."""
    await execute(
        cur,
        """
        UPDATE access.session
        SET last_used_at = tocsin.now(),
            expires_at = LEAST(created_at + %(days)s * interval '1 day',
                               tocsin.now() + %(idle_days)s * interval '1 day')
        WHERE id = (SELECT id FROM access.session
                    WHERE id = %(id)s AND last_used_at <= tocsin.now() - interval '1 minute'
                    FOR UPDATE SKIP LOCKED)
        """,
        id=session_id,
        days=lifetime.days,
        idle_days=lifetime.idle_days,
    )


async def rotate_secret(cur: Cursor, session_id: UUID, secret_hash: bytes) -> datetime | None:
    """Give a session another secret. Return when it ends if it is not used; None if it has ended."""
    row = await fetch_one(
        cur,
        """
        UPDATE access.session SET secret_hash = %(secret_hash)s
        WHERE id = %(id)s AND expires_at > tocsin.now()
        RETURNING expires_at
        """,
        id=session_id,
        secret_hash=secret_hash,
    )
    return row["expires_at"] if row else None


async def is_recent(cur: Cursor, session_id: UUID) -> bool:
    """Return whether a session was begun within the last ten minutes."""
    row = await fetch_one(
        cur,
        """
        SELECT id FROM access.session WHERE id = %(id)s AND created_at > tocsin.now() - interval '10 minutes'
        """,
        id=session_id,
    )
    return row is not None


async def list_sessions(
    cur: Cursor, account_id: UUID, query: SessionsQuery, *, current: UUID | None
) -> tuple[list[Session], str | None]:
    """Return a page of an account's sessions, newest first, and the cursor of the next page."""
    rows = await fetch_all(
        cur,
        """
        SELECT id, address, user_agent, created_at, last_used_at, expires_at,
               id IS NOT DISTINCT FROM %(current)s::uuid AS current
        FROM access.session
        WHERE account_id = %(account_id)s AND expires_at > tocsin.now()
          AND (%(after_at)s::timestamptz IS NULL OR (created_at, id) < (%(after_at)s, %(after_id)s::uuid))
        ORDER BY created_at DESC, id DESC
        LIMIT %(fetch)s
        """,
        account_id=account_id,
        current=current,
        **query.after(),
    )
    return page_of(rows, query.limit, Session.model_validate)


async def delete_session(cur: Cursor, account_id: UUID, session_id: UUID) -> bool:
    """End a session of an account. Return False if there is none."""
    deleted = await execute(
        cur,
        "DELETE FROM access.session WHERE id = %(id)s AND account_id = %(account_id)s",
        id=session_id,
        account_id=account_id,
    )
    return deleted > 0


async def delete_sessions(cur: Cursor, account_id: UUID, *, except_for: UUID | None = None) -> int:
    """End the sessions of an account, except for one. Return how many have ended."""
    return await execute(
        cur,
        "DELETE FROM access.session WHERE account_id = %(account_id)s AND id IS DISTINCT FROM %(except_for)s::uuid",
        account_id=account_id,
        except_for=except_for,
    )
