"""Statements on sessions."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from tocsin.kernel.db import Cursor, Row, execute, fetch_all, fetch_one, required

IDENTIFY: Final = """
    WITH found AS (
        SELECT s.id, s.last_used_at < tocsin.now() - interval '1 minute' AS stale, a.id AS account_id, a.kind, a.name,
               a.email, a.role, a.person_id
        FROM session AS s JOIN account AS a ON a.id = s.account_id
        WHERE s.secret_hash = %(secret_hash)s AND a.disabled_at IS NULL AND s.expires_at > tocsin.now()
          AND s.last_used_at > tocsin.now() - %(idle_days)s * interval '1 day'
    ), used AS (
        UPDATE session SET last_used_at = tocsin.now() WHERE id = (SELECT id FROM found WHERE stale)
    )
    SELECT * FROM found
    """


async def identify(cur: Cursor, secret_hash: bytes, *, idle_days: float) -> Row | None:
    """Return the account of a valid session, and record its use, at most once a minute."""
    return await fetch_one(cur, IDENTIFY, secret_hash=secret_hash, idle_days=idle_days)


async def insert_session(
    cur: Cursor,
    session_id: UUID,
    *,
    account_id: UUID,
    secret_hash: bytes,
    address: str,
    user_agent: str,
    days: float,
) -> Row:
    """Insert a session that lasts for *days*; return when it expires."""
    return required(
        await fetch_one(
            cur,
            """
            INSERT INTO session (id, account_id, secret_hash, address, user_agent, expires_at)
            VALUES (%(id)s, %(account_id)s, %(secret_hash)s, %(address)s, %(user_agent)s,
                    tocsin.now() + %(days)s * interval '1 day')
            RETURNING expires_at
            """,
            id=session_id,
            account_id=account_id,
            secret_hash=secret_hash,
            address=address,
            user_agent=user_agent,
            days=days,
        )
    )


async def list_sessions(cur: Cursor, account_id: UUID, *, idle_days: float) -> Sequence[Row]:
    """Return the newest 100 valid sessions of an account."""
    return await fetch_all(
        cur,
        """
        SELECT id, address, user_agent, created_at, last_used_at, expires_at FROM session
        WHERE account_id = %(account_id)s AND expires_at > tocsin.now()
          AND last_used_at > tocsin.now() - %(idle_days)s * interval '1 day'
        ORDER BY created_at DESC, id DESC LIMIT 100
        """,
        account_id=account_id,
        idle_days=idle_days,
    )


async def delete_session(cur: Cursor, secret_hash: bytes) -> None:
    """Delete the session with this secret."""
    await execute(cur, "DELETE FROM session WHERE secret_hash = %(secret_hash)s", secret_hash=secret_hash)


async def delete_sessions(
    cur: Cursor, account_id: UUID, *, session_id: UUID | None = None, but: UUID | None = None
) -> int:
    """Delete the sessions of an account: only *session_id* if given, and not the one in *but*. Return their number."""
    return await execute(
        cur,
        """
        DELETE FROM session WHERE account_id = %(account_id)s AND (%(session_id)s IS NULL OR id = %(session_id)s)
            AND id IS DISTINCT FROM %(but)s
        """,
        account_id=account_id,
        session_id=session_id,
        but=but,
    )
