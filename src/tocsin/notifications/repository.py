"""Statements that answer requests; those of the dispatcher are in `leases`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from tocsin.channels import CHANNELS
from tocsin.contracts.notifications import NotificationStatus, Notify
from tocsin.kernel.db import Cursor, Json, Row, execute, fetch_all, fetch_one, required
from tocsin.kernel.tracing import TRACING
from tocsin.notifications.digest import GATHER_SECONDS, STALE_SECONDS

MAX_ATTEMPTS_SHOWN = 100
COUNTED = 10_000
"""How many messages a summary counts, the newest of its window."""


async def lock_incident(cur: Cursor, incident_id: UUID, *, exclusive: bool) -> None:
    """Let pages of one incident be queued side by side, but not while they are being voided."""
    if exclusive:
        await execute(cur, "SELECT pg_advisory_xact_lock(hashtextextended(%(id)s::text, 0))", id=incident_id)
    else:
        await execute(cur, "SELECT pg_advisory_xact_lock_shared(hashtextextended(%(id)s::text, 0))", id=incident_id)


async def insert_notification(
    cur: Cursor, notification_id: UUID, order: Notify, *, request_id: str, now: datetime | None
) -> Row | None:
    """Queue a message; None where there is one of this id. A page for an answered incident is voided at birth."""
    return await fetch_one(
        cur,
        """
        INSERT INTO notifications.notification (id, incident_id, kind, channel, recipient, address, lane, message, page,
            request_id, trace_context, created_at, status, reason, next_attempt_at, finished_at)
        SELECT %(id)s, %(incident_id)s, %(kind)s, %(channel)s, %(recipient)s, %(address)s, %(lane)s, %(message)s,
            %(page)s, %(request_id)s, %(trace_context)s, clock.now,
            CASE WHEN answered.reason IS NULL THEN 'queued' ELSE 'voided' END, answered.reason,
            CASE WHEN answered.reason IS NULL THEN clock.now
                + (%(paged_at)s::timestamptz <= clock.now - %(stale)s * interval '1 second')::integer
                    * %(gather)s * interval '1 second' END,
            CASE WHEN answered.reason IS NOT NULL THEN clock.now END
        FROM (SELECT COALESCE(%(now)s, now()) AS now) AS clock
        LEFT JOIN notifications.answered ON answered.incident_id = %(incident_id)s AND %(kind)s = 'page'
        ON CONFLICT (id) DO NOTHING
        RETURNING id, channel, status
        """,
        now=now,
        id=notification_id,
        incident_id=order.incident_id,
        kind=order.kind.value,
        channel=order.channel,
        recipient=CHANNELS.shown_address(order.recipient),
        address=order.recipient,
        lane=CHANNELS[order.channel].rate_limit_key(order.recipient),
        message=order.message,
        page=None if order.page is None else Json(order.page.model_dump(mode="json")),
        # One that comes late does not come alone.
        paged_at=(order.page and order.page.paged_at) or now or "infinity",
        stale=STALE_SECONDS,
        gather=GATHER_SECONDS,
        request_id=request_id,
        trace_context=TRACING.context(),
    )


async def get_order(cur: Cursor, notification_id: UUID) -> tuple[Notify, NotificationStatus]:
    """Return what was asked when a message was queued, and what was answered then."""
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


async def upsert_answered(cur: Cursor, incident_id: UUID, *, reason: str, now: datetime | None) -> None:
    """Remember that somebody has answered for an incident."""
    await execute(
        cur,
        """
        INSERT INTO notifications.answered (incident_id, reason, created_at)
        VALUES (%(incident_id)s, %(reason)s, COALESCE(%(now)s, now()))
        ON CONFLICT (incident_id) DO NOTHING
        """,
        incident_id=incident_id,
        reason=reason,
        now=now,
    )


async def void_pages(cur: Cursor, incident_id: UUID, *, reason: str, now: datetime | None) -> list[str]:
    """Void an incident's unfinished pages; return their channels."""
    rows = await fetch_all(
        cur,
        """
        UPDATE notifications.notification
        SET status = 'voided', reason = %(reason)s, next_attempt_at = NULL, finished_at = COALESCE(%(now)s, now())
        WHERE incident_id = %(incident_id)s AND status = 'queued' AND kind = 'page'
        RETURNING channel
        """,
        incident_id=incident_id,
        reason=reason,
        now=now,
    )
    return [row["channel"] for row in rows]


async def count_voided(cur: Cursor, incident_id: UUID) -> int:
    """Return how many of an incident's messages are voided."""
    row = await fetch_one(
        cur,
        "SELECT count(*) AS voided FROM notifications.notification WHERE incident_id = %(id)s AND status = 'voided'",
        id=incident_id,
    )
    return int(required(row)["voided"])


async def requeue(cur: Cursor, notification_id: UUID, *, now: datetime | None) -> bool:
    """Queue a failed or voided message again; False where it is neither."""
    updated = await execute(
        cur,
        """
        UPDATE notifications.notification
        SET status = 'queued', reason = NULL, tries = 0, first_tried_at = NULL, finished_at = NULL, digest_id = NULL,
            next_attempt_at = COALESCE(%(now)s, now()), redelivered_at = COALESCE(%(now)s, now())
        WHERE id = %(id)s AND status IN ('failed', 'voided')
        """,
        id=notification_id,
        now=now,
    )
    return updated > 0


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


async def summarise(cur: Cursor, *, since: datetime | None) -> list[Row]:
    """Return what became of the newest messages of a window, by channel, and of all of them where `channel` is null."""
    return await fetch_all(
        cur,
        """
        WITH newest AS MATERIALIZED (
            SELECT channel, status, attempts, created_at, finished_at FROM notifications.notification
            WHERE created_at >= COALESCE(%(since)s::timestamptz, now() - interval '24 hours')
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
        counted=COUNTED,
    )


async def list_attempts(cur: Cursor, notification_ids: Sequence[UUID]) -> list[Row]:
    """Return the newest attempts of each message, in their order."""
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
