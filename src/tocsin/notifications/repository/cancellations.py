"""Incidents whose pages are cancelled."""

from uuid import UUID

from tocsin.contracts.notifications import CancelPages
from tocsin.kernel.db import Cursor, defer, execute, fetch_all, fetch_one, required


async def lock_incident(cur: Cursor, incident_id: UUID, *, exclusive: bool) -> None:
    """Lock an incident: shared to queue its pages concurrently, exclusive to cancel them. This is deferred."""
    if exclusive:
        await defer(cur, "SELECT pg_advisory_xact_lock(hashtextextended(%(id)s::text, 0))", id=incident_id)
    else:
        await defer(cur, "SELECT pg_advisory_xact_lock_shared(hashtextextended(%(id)s::text, 0))", id=incident_id)


async def record_cancellation(cur: Cursor, command: CancelPages) -> None:
    """Record that an incident's pages are cancelled; an existing record of as many pages is kept. This is deferred."""
    await defer(
        cur,
        """
        INSERT INTO notifications.cancellation AS c (incident_id, reason, paged_until)
        VALUES (%(incident_id)s, %(reason)s, %(paged_until)s)
        ON CONFLICT (incident_id) DO UPDATE SET reason = EXCLUDED.reason, paged_until = EXCLUDED.paged_until
            WHERE COALESCE(EXCLUDED.paged_until, 'infinity') > COALESCE(c.paged_until, 'infinity')
        """,
        incident_id=command.incident_id,
        reason=command.reason,
        paged_until=command.paged_until,
    )


async def cancel_pages(cur: Cursor, command: CancelPages) -> list[str]:
    """Cancel an incident's unfinished pages; return the channel of each."""
    rows = await fetch_all(
        cur,
        """
        UPDATE notifications.notification
        SET status = 'voided', reason = %(reason)s, next_attempt_at = NULL, finished_at = tocsin.now()
        WHERE incident_id = %(incident_id)s AND status = 'queued' AND kind = 'page'
            AND COALESCE((page ->> 'paged_at')::timestamptz, '-infinity')
                <= COALESCE(%(paged_until)s::timestamptz, 'infinity')
        RETURNING channel
        """,
        incident_id=command.incident_id,
        reason=command.reason,
        paged_until=command.paged_until,
    )
    return [row["channel"] for row in rows]


async def count_cancelled(cur: Cursor, incident_id: UUID) -> int:
    """Return the number of an incident's cancelled messages."""
    row = await fetch_one(
        cur,
        "SELECT count(*) AS cancelled FROM notifications.notification WHERE incident_id = %(id)s AND status = 'voided'",
        id=incident_id,
    )
    return int(required(row)["cancelled"])


async def delete_old_cancellations(cur: Cursor, *, days: int) -> int:
    """Delete up to 1,000 cancellations older than *days*; return their number."""
    return await execute(
        cur,
        """
        DELETE FROM notifications.cancellation WHERE incident_id IN (
            SELECT incident_id FROM notifications.cancellation
            WHERE created_at < tocsin.now() - %(days)s * interval '1 day' LIMIT 1000)
        """,
        days=days,
    )
