"""Messages: queue, requeue, list and count them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from tocsin.channels import CHANNELS
from tocsin.contracts.notifications import NotificationStatus, Notify
from tocsin.kernel.db import Cursor, Json, Row, execute, fetch_all, fetch_one, required
from tocsin.kernel.tracing import TRACING
from tocsin.notifications.domain.digest import GATHER_SECONDS, STALE_SECONDS

MAX_ATTEMPTS_SHOWN: Final = 100
SUMMARY_LIMIT: Final = 10_000
"""A summary counts at most this many messages, the newest of its window."""


async def insert_notification(cur: Cursor, notification_id: UUID, command: Notify, *, request_id: str) -> Row | None:
    """Queue a message; return None if the id exists.

    A page that was decided before its incident's pages were cancelled is cancelled at once. The caller holds the
    incident's shared lock.
    """
    return await fetch_one(
        cur,
        """
        INSERT INTO notifications.notification (id, incident_id, kind, channel, recipient, address, rate_limit_key,
            message, page, request_id, trace_context, created_at, status, reason, next_attempt_at, finished_at)
        SELECT %(id)s, %(incident_id)s, %(kind)s, %(channel)s, %(recipient)s, %(address)s, %(rate_limit_key)s,
            %(message)s, %(page)s, %(request_id)s, %(trace_context)s, clock.now,
            CASE WHEN cancellation.reason IS NULL THEN 'queued' ELSE 'voided' END, cancellation.reason,
            CASE WHEN cancellation.reason IS NULL THEN clock.now
                + (%(paged_at)s::timestamptz <= clock.now - %(stale)s * interval '1 second')::integer
                    * %(gather)s * interval '1 second' END,
            CASE WHEN cancellation.reason IS NOT NULL THEN clock.now END
        FROM (SELECT tocsin.now() AS now) AS clock
        LEFT JOIN notifications.cancellation
            ON cancellation.incident_id = %(incident_id)s AND %(kind)s = 'page'
                AND %(decided_at)s::timestamptz <= COALESCE(cancellation.paged_until, 'infinity')
        ON CONFLICT (id) DO NOTHING
        RETURNING id, channel, status
        """,
        id=notification_id,
        incident_id=command.incident_id,
        kind=command.kind.value,
        channel=command.channel,
        recipient=CHANNELS.shown_address(command.recipient),
        address=command.recipient,
        rate_limit_key=CHANNELS[command.channel].rate_limit_key(command.recipient),
        message=command.message,
        page=None if command.page is None else Json(command.page.model_dump(mode="json")),
        # A page that is stale on arrival is rarely the only one, so it waits for others.
        paged_at=(command.page and command.page.paged_at) or "infinity",
        decided_at=(command.page and command.page.paged_at) or "-infinity",
        stale=STALE_SECONDS,
        gather=GATHER_SECONDS,
        request_id=request_id,
        trace_context=TRACING.context(),
    )


async def get_command(cur: Cursor, notification_id: UUID) -> tuple[Notify, NotificationStatus]:
    """Return the command that queued a message, and the status in its first response."""
    row = required(
        await fetch_one(
            cur,
            """
            SELECT incident_id, kind, channel, address AS recipient, message, page,
                   CASE WHEN attempts = 0 AND finished_at = created_at THEN 'voided' ELSE 'queued' END AS first_status
            FROM notifications.notification WHERE id = %(id)s
            """,
            id=notification_id,
        )
    )
    return Notify.model_validate(row), NotificationStatus(row["first_status"])


async def requeue(cur: Cursor, notification_id: UUID) -> bool:
    """Queue a failed or cancelled message again; return False for any other."""
    updated = await execute(
        cur,
        """
        UPDATE notifications.notification
        SET status = 'queued', reason = NULL, tries = 0, first_tried_at = NULL, finished_at = NULL, digest_id = NULL,
            next_attempt_at = tocsin.now(), redelivered_at = tocsin.now()
        WHERE id = %(id)s AND status IN ('failed', 'voided')
        """,
        id=notification_id,
    )
    return updated > 0


async def delete_expired(cur: Cursor, *, days: int) -> int:
    """Delete up to 1,000 messages older than *days* with their attempts, but no queued ones; return their number."""
    return await execute(
        cur,
        """
        DELETE FROM notifications.notification WHERE id IN (
            SELECT id FROM notifications.notification
            WHERE created_at < tocsin.now() - %(days)s * interval '1 day' AND status <> 'queued'
            ORDER BY created_at, id LIMIT 1000)
        """,
        days=days,
    )


async def get_notification(cur: Cursor, notification_id: UUID) -> Row:
    """Return a message without its attempts. Raise NotFoundError."""
    row = await fetch_one(
        cur,
        """
        SELECT id, incident_id, kind, channel, recipient, page ->> 'person' AS person, message, status, reason,
               next_attempt_at, created_at, finished_at, digest_id
        FROM notifications.notification WHERE id = %(id)s
        """,
        id=notification_id,
    )
    return required(row, f"There is no notification {notification_id}.")


async def list_notifications(cur: Cursor, filters: Mapping[str, Any]) -> list[Row]:
    """Return a page of messages without their attempts, newest first."""
    return await fetch_all(
        cur,
        """
        SELECT id, incident_id, kind, channel, recipient, page ->> 'person' AS person, message, status, reason,
               next_attempt_at, created_at, finished_at, digest_id
        FROM notifications.notification
        WHERE (%(incident_id)s IS NULL OR incident_id = %(incident_id)s)
          AND (%(channel)s IS NULL OR channel = %(channel)s)
          AND (%(status)s IS NULL OR status = %(status)s)
          AND (%(recipient)s IS NULL OR (md5(recipient) = md5(%(recipient)s) AND recipient = %(recipient)s))
          AND (%(person)s::text IS NULL OR page ->> 'person' = %(person)s)
          AND (%(after_at)s IS NULL OR (created_at, id) < (%(after_at)s, %(after_id)s))
        ORDER BY created_at DESC, id DESC
        LIMIT %(fetch)s
        """,
        **filters,
    )


async def list_attempts(cur: Cursor, notification_ids: Sequence[UUID]) -> list[Row]:
    """Return the newest attempts of each message, oldest first."""
    return await fetch_all(
        cur,
        """
        SELECT newest.* FROM unnest(%(ids)s::uuid[]) AS wanted (id)
        CROSS JOIN LATERAL (
            SELECT * FROM notifications.attempt WHERE notification_id = wanted.id ORDER BY number DESC LIMIT %(limit)s
        ) AS newest
        ORDER BY newest.notification_id, newest.number
        """,
        ids=list(notification_ids),
        limit=MAX_ATTEMPTS_SHOWN,
    )


async def summarise(cur: Cursor, *, since: datetime | None) -> list[Row]:
    """Count the newest messages of a window by status: a row for each channel, and one for all (`channel` is null)."""
    return await fetch_all(
        cur,
        """
        WITH newest AS MATERIALIZED (
            SELECT channel, status, attempts, created_at, finished_at FROM notifications.notification
            WHERE created_at >= COALESCE(%(since)s::timestamptz, tocsin.now() - interval '24 hours')
            ORDER BY created_at DESC, id DESC LIMIT %(counted)s
        )
        SELECT channel, count(*) AS messages, min(created_at) AS oldest,
            count(*) FILTER (WHERE status = 'sent') AS sent, count(*) FILTER (WHERE status = 'queued') AS queued,
            count(*) FILTER (WHERE status = 'queued' AND attempts > 0) AS retrying,
            count(*) FILTER (WHERE status = 'failed') AS failed, count(*) FILTER (WHERE status = 'voided') AS voided,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - created_at)::double precision)
                FILTER (WHERE status = 'sent') AS median_seconds
        FROM newest GROUP BY GROUPING SETS ((channel), ()) ORDER BY channel
        """,
        since=since,
        counted=SUMMARY_LIMIT,
    )
