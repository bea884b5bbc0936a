"""Statements on links that work once."""

from datetime import datetime
from uuid import UUID

from tocsin.kernel.db import Cursor, Row, execute, fetch_one, required


async def replace_link(
    cur: Cursor, link_id: UUID, *, account_id: UUID | None, secret_hash: bytes, hours: float
) -> datetime:
    """Insert a link in place of the one before for the same account; return when it expires."""
    row = await fetch_one(
        cur,
        """
        INSERT INTO link (id, account_id, secret_hash, expires_at)
        VALUES (%(id)s, %(account_id)s, %(secret_hash)s, tocsin.now() + %(hours)s * interval '1 hour')
        ON CONFLICT (account_id) DO UPDATE SET id = EXCLUDED.id, secret_hash = EXCLUDED.secret_hash,
            created_at = EXCLUDED.created_at, expires_at = EXCLUDED.expires_at
        RETURNING expires_at
        """,
        id=link_id,
        account_id=account_id,
        secret_hash=secret_hash,
        hours=hours,
    )
    expires: datetime = required(row)["expires_at"]
    return expires


async def find_link(cur: Cursor, secret_hash: bytes) -> Row | None:
    """Return a valid link, with the name and e-mail address of its account; the link of the first admin has none."""
    return await fetch_one(
        cur,
        """
        SELECT l.id, l.account_id, l.expires_at, a.name, a.email
        FROM link AS l LEFT JOIN account AS a ON a.id = l.account_id
        WHERE l.secret_hash = %(secret_hash)s AND l.expires_at > tocsin.now() AND a.disabled_at IS NULL
        """,
        secret_hash=secret_hash,
    )


async def has_setup_link(cur: Cursor) -> bool:
    """Return whether there is a valid link of the first admin."""
    row = await fetch_one(
        cur,
        "SELECT EXISTS (SELECT FROM link WHERE account_id IS NULL AND expires_at > tocsin.now()) AS found",
    )
    return bool(required(row)["found"])


async def use_link(cur: Cursor, secret_hash: bytes) -> Row | None:
    """Delete a valid link and return its account; None if it has expired, or if somebody else has just used it."""
    return await fetch_one(
        cur,
        "DELETE FROM link WHERE secret_hash = %(secret_hash)s AND expires_at > tocsin.now() RETURNING account_id",
        secret_hash=secret_hash,
    )


async def delete_link(cur: Cursor, account_id: UUID) -> None:
    """Delete the link of an account."""
    await execute(cur, "DELETE FROM link WHERE account_id = %(account_id)s", account_id=account_id)
