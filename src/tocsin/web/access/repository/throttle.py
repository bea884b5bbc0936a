"""Statements that count failed log-ins, for all replicas."""

from collections.abc import Sequence
from typing import Final

from tocsin.kernel.db import Cursor, execute, fetch_all

WINDOW_SECONDS: Final = 60


async def count_attempts(cur: Cursor, keys: Sequence[str]) -> list[tuple[int, float]]:
    """Count an attempt for each key; return how many there were in its minute, and the seconds until it ends.

    The keys are locked in one order, so that concurrent attempts cannot deadlock.
    """
    rows = await fetch_all(
        cur,
        """
        INSERT INTO throttle AS t (key, failures, expires_at)
        SELECT key, 1, tocsin.now() + %(seconds)s * interval '1 second'
        FROM unnest(%(keys)s::text[]) AS key ORDER BY key
        ON CONFLICT (key) DO UPDATE SET
            failures = CASE WHEN t.expires_at > tocsin.now() THEN t.failures + 1 ELSE 1 END,
            expires_at = CASE WHEN t.expires_at > tocsin.now() THEN t.expires_at ELSE EXCLUDED.expires_at END
        RETURNING failures, extract(epoch FROM expires_at - tocsin.now())::float AS seconds_left
        """,
        keys=list(keys),
        seconds=WINDOW_SECONDS,
    )
    return [(row["failures"], row["seconds_left"]) for row in rows]


async def forget_attempt(cur: Cursor, keys: Sequence[str]) -> None:
    """Take back an attempt for each key, because it has succeeded."""
    await execute(
        cur,
        """
        UPDATE throttle SET failures = greatest(0, failures - 1)
        WHERE key IN (SELECT key FROM throttle WHERE key = ANY(%(keys)s) ORDER BY key FOR UPDATE)
        """,
        keys=list(keys),
    )
