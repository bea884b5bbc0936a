"""Failed log-ins of the last minute, counted for all replicas."""

from dataclasses import dataclass
from datetime import datetime

from tocsin.kernel.db import Cursor, defer, fetch_one, required


@dataclass(frozen=True, slots=True)
class Count:
    """An attempt that is counted."""

    key: str
    expires_at: datetime


async def count_attempt(cur: Cursor, kind: str, name: str, *, limit: int) -> Count | None:
    """Count an attempt, and return it; None if *limit* were counted since the minute began.

    The row is locked until the end of the transaction: concurrent attempts are counted one after the other. The key is
    a hash, because people type passwords where an e-mail address belongs. The database folds the letters, as where it
    looks for the account: Python folds some others, and each spelling would have a count of its own.
    """
    row = await fetch_one(
        cur,
        """
        INSERT INTO access.throttle AS t (key, failures, expires_at)
        VALUES (%(kind)s || ' ' || encode(sha256(convert_to(lower(%(name)s), 'UTF8')), 'hex'), 1,
                tocsin.now() + interval '1 minute')
        ON CONFLICT (key) DO UPDATE
            SET failures = CASE WHEN t.expires_at > tocsin.now() THEN t.failures + 1 ELSE 1 END,
                expires_at = CASE WHEN t.expires_at > tocsin.now() THEN t.expires_at ELSE EXCLUDED.expires_at END
            WHERE t.expires_at <= tocsin.now() OR t.failures < %(limit)s
        RETURNING key, expires_at
        """,
        kind=kind,
        name=name,
        limit=limit,
    )
    return Count(row["key"], row["expires_at"]) if row else None


async def seconds_left(cur: Cursor, kind: str, name: str) -> int:
    """Return the seconds until attempts are counted anew, at least 1."""
    row = await fetch_one(
        cur,
        """
        SELECT ceil(extract(epoch FROM expires_at - tocsin.now())) AS seconds FROM access.throttle
        WHERE key = %(kind)s || ' ' || encode(sha256(convert_to(lower(%(name)s), 'UTF8')), 'hex')
        """,
        kind=kind,
        name=name,
    )
    return max(1, int(required(row)["seconds"]))


async def give_back(cur: Cursor, counts: list[Count]) -> None:
    """Take back counted attempts, which did not fail. This is deferred."""
    for count in counts:
        await defer(
            cur,
            """
            UPDATE access.throttle SET failures = failures - 1
            WHERE key = %(key)s AND expires_at = %(expires_at)s AND failures > 0
            """,
            key=count.key,
            expires_at=count.expires_at,
        )
