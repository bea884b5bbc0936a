"""Statements about alerts past the retention; the functions are in sql/."""

from uuid import UUID

from tocsin.kernel.db import Cursor, fetch_one, required
from tocsin.kernel.partitions import IdRange


async def has_unresolved(cur: Cursor, ids: IdRange) -> bool:
    """Return whether an alert of *ids* belongs to an unresolved incident."""
    row = await fetch_one(cur, "SELECT has_unresolved(%(starts)s, %(ends)s) AS found", starts=ids.starts, ends=ids.ends)
    return bool(required(row)["found"])


async def keep_alerts(cur: Cursor, ids: IdRange, *, after: UUID) -> tuple[UUID | None, bool]:
    """Copy the first and the last alert of *ids* of the next incidents.

    Return the last of these incidents, and whether one of their alerts can still change: then nothing is copied.
    """
    row = required(
        await fetch_one(
            cur,
            "SELECT last_incident_id, is_open FROM keep_alerts(%(starts)s, %(ends)s, %(after)s)",
            starts=ids.starts,
            ends=ids.ends,
            after=after,
        )
    )
    return row["last_incident_id"], row["is_open"]


async def delete_expired_default_rows(cur: Cursor, *, days: int) -> int:
    """Delete rows past the retention that have no partition, if their incidents are resolved; return how many."""
    row = await fetch_one(cur, "SELECT delete_expired_default_rows(%(days)s) AS rows", days=days)
    return int(required(row)["rows"])
