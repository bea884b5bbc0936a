"""Links that work once; an account has at most one, and so has the first admin, who has no account yet."""

from datetime import datetime
from uuid import UUID

from tocsin.kernel.db import Cursor, Row, execute, fetch_one, required


async def upsert_link(
    cur: Cursor, link_id: UUID, *, account_id: UUID | None, secret_hash: bytes, hours: int
) -> datetime:
    """Insert the link of an account, or of the first admin, in place of the one before. Return when it expires."""
    row = await fetch_one(
        cur,
        """
        INSERT INTO access.link (id, account_id, secret_hash, expires_at)
        VALUES (%(id)s, %(account_id)s, %(secret_hash)s, tocsin.now() + %(hours)s * interval '1 hour')
        ON CONFLICT (account_id) DO UPDATE
            SET id = EXCLUDED.id, secret_hash = EXCLUDED.secret_hash, created_at = EXCLUDED.created_at,
                expires_at = EXCLUDED.expires_at
        RETURNING expires_at
        """,
        id=link_id,
        account_id=account_id,
        secret_hash=secret_hash,
        hours=hours,
    )
    expires_at: datetime = required(row)["expires_at"]
    return expires_at


async def find_link(cur: Cursor, secret_hash: bytes) -> Row | None:
    """Return `account_id` and `expires_at` of a link; None if it is unknown or expired, or its account is disabled."""
    return await fetch_one(
        cur,
        """
        SELECT l.account_id, l.expires_at
        FROM access.link AS l LEFT JOIN access.account AS a ON a.id = l.account_id
        WHERE l.secret_hash = %(secret_hash)s AND l.expires_at > tocsin.now() AND a.disabled_at IS NULL
        """,
        secret_hash=secret_hash,
    )


async def use_link(cur: Cursor, secret_hash: bytes, *, account_id: UUID | None) -> bool:
    """Delete the link of an account, or of the first admin. Return False if it is unknown or expired."""
    deleted = await execute(
        cur,
        """
        DELETE FROM access.link
        WHERE secret_hash = %(secret_hash)s AND expires_at > tocsin.now()
          AND account_id IS NOT DISTINCT FROM %(account_id)s::uuid
        """,
        secret_hash=secret_hash,
        account_id=account_id,
    )
    return deleted > 0


async def delete_link(cur: Cursor, account_id: UUID) -> None:
    """Delete the link of an account, if it has one."""
    await execute(cur, "DELETE FROM access.link WHERE account_id = %(account_id)s", account_id=account_id)
