"""Delete what has expired."""

from typing import Final

from tocsin.kernel.db import Cursor, execute

BATCH: Final = 1_000
"""Rows of each table that are deleted at once."""
STATEMENTS: Final = (
    """
    DELETE FROM session WHERE id IN (
        SELECT id FROM session
        WHERE expires_at < tocsin.now() OR last_used_at < tocsin.now() - %(idle_days)s * interval '1 day'
        LIMIT %(batch)s)
    """,
    "DELETE FROM token WHERE id IN (SELECT id FROM token WHERE expires_at < tocsin.now() LIMIT %(batch)s)",
    "DELETE FROM link WHERE id IN (SELECT id FROM link WHERE expires_at < tocsin.now() LIMIT %(batch)s)",
    "DELETE FROM throttle WHERE key IN (SELECT key FROM throttle WHERE expires_at < tocsin.now() LIMIT %(batch)s)",
)


async def delete_expired(cur: Cursor, *, idle_days: float) -> bool:
    """Delete expired rows of each table; return whether there may be more."""
    return max([await execute(cur, sql, idle_days=idle_days, batch=BATCH) for sql in STATEMENTS]) == BATCH
