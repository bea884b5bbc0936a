"""Delete what has expired."""

from typing import Final

from tocsin.kernel.db import Cursor, execute

BATCH: Final = 1_000
"""Rows that one statement deletes at most. They are ordered and an array, so that indexes find them."""
STATEMENTS: Final = (
    """
    DELETE FROM access.session WHERE id = ANY (ARRAY(
        SELECT id FROM access.session WHERE expires_at <= tocsin.now() ORDER BY expires_at LIMIT %(batch)s
        FOR UPDATE SKIP LOCKED))
    """,
    """
    DELETE FROM access.token WHERE id = ANY (ARRAY(
        SELECT id FROM access.token WHERE expires_at <= tocsin.now() ORDER BY expires_at LIMIT %(batch)s
        FOR UPDATE SKIP LOCKED))
    """,
    """
    DELETE FROM access.link WHERE id = ANY (ARRAY(
        SELECT id FROM access.link WHERE expires_at <= tocsin.now() ORDER BY expires_at LIMIT %(batch)s
        FOR UPDATE SKIP LOCKED))
    """,
    """
    DELETE FROM access.challenge WHERE challenge = ANY (ARRAY(
        SELECT challenge FROM access.challenge WHERE expires_at <= tocsin.now() ORDER BY expires_at LIMIT %(batch)s
        FOR UPDATE SKIP LOCKED))
    """,
    """
    DELETE FROM access.throttle WHERE key = ANY (ARRAY(
        SELECT key FROM access.throttle WHERE expires_at <= tocsin.now() ORDER BY expires_at LIMIT %(batch)s
        FOR UPDATE SKIP LOCKED))
    """,
    """
    DELETE FROM access.oidc_flow WHERE state_hash = ANY (ARRAY(
        SELECT state_hash FROM access.oidc_flow WHERE expires_at <= tocsin.now() ORDER BY expires_at LIMIT %(batch)s
        FOR UPDATE SKIP LOCKED))
    """,
)


async def delete_expired(cur: Cursor) -> bool:
    """Delete a batch of the expired sessions, tokens, links, challenges, counts, and log-ins that did not come back.

    Return whether there may be more.
    """
    deleted = [await execute(cur, statement, batch=BATCH) for statement in STATEMENTS]
    return max(deleted) == BATCH
