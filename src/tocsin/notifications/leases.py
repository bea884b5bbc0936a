"""Statements of the dispatcher: what is due, who has it, and what came of it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from tocsin.channels.message import Outcome
from tocsin.kernel.db import Cursor, Row, execute, fetch_all
from tocsin.notifications.digest import MAX_PAGES, STALE_SECONDS
from tocsin.notifications.domain import LeasedMessage, Verdict, leased


async def lease_due(
    cur: Cursor,
    *,
    busy: Mapping[str, int],
    lane_limit: int,
    limit: int,
    lease: float,
    expires: float,
    now: datetime | None,
) -> list[LeasedMessage]:
    """Take up to *limit* due messages for *lease* seconds: pages before other messages, the newest first.

    Of each lane no more are taken than its free slots, so that nothing waits, leased, for a slow receiver. The lanes
    are found by stepping through the index, at a price that does not grow with the queue. Where a page is stale
    (`digest`), the recipient's other stale ones come along: they take no slot of their own.
    """
    rows = await fetch_all(
        cur,
        """
        WITH RECURSIVE lane (name) AS (
            (SELECT lane FROM notifications.notification WHERE status = 'queued' ORDER BY lane LIMIT 1)
            UNION ALL
            SELECT (SELECT n.lane FROM notifications.notification AS n
                    WHERE n.status = 'queued' AND n.lane > lane.name ORDER BY n.lane LIMIT 1)
            FROM lane WHERE lane.name IS NOT NULL
        ), due AS (
            SELECT picked.id, lane.name AS lane, picked.channel, picked.address, picked.stale
            FROM lane
            LEFT JOIN unnest(%(busy_lanes)s::text[], %(busy_counts)s::integer[]) AS busy (name, sends) USING (name)
            CROSS JOIN LATERAL (
                SELECT n.id, n.kind, n.created_at, n.channel, n.address, n.redelivered_at IS NULL AND n.kind = 'page'
                    AND COALESCE((n.page ->> 'paged_at')::timestamptz, n.created_at)
                        <= COALESCE(%(now)s, now()) - %(stale)s * interval '1 second' AS stale
                FROM notifications.notification AS n
                WHERE n.status = 'queued' AND n.lane = lane.name AND n.next_attempt_at <= COALESCE(%(now)s, now())
                ORDER BY n.kind DESC, n.created_at DESC
                LIMIT GREATEST(0, %(lane_limit)s - COALESCE(busy.sends, 0))
                FOR UPDATE SKIP LOCKED
            ) AS picked
            ORDER BY picked.kind DESC, picked.created_at DESC
            LIMIT %(limit)s
        ), companion AS (
            SELECT picked.id
            FROM (SELECT DISTINCT lane, channel, address FROM due WHERE stale) AS recipient
            CROSS JOIN LATERAL (
                SELECT n.id FROM notifications.notification AS n
                WHERE n.status = 'queued' AND n.lane = recipient.lane AND n.kind = 'page'
                    AND n.channel = recipient.channel AND n.address = recipient.address AND n.redelivered_at IS NULL
                    -- Untried ones wait for nothing but this; others may be on their way.
                    AND (n.tries = 0 OR n.next_attempt_at <= COALESCE(%(now)s, now()))
                    AND COALESCE((n.page ->> 'paged_at')::timestamptz, n.created_at)
                        <= COALESCE(%(now)s, now()) - %(stale)s * interval '1 second'
                    AND n.id NOT IN (SELECT id FROM due)
                ORDER BY n.created_at DESC
                LIMIT %(companions)s
                FOR UPDATE SKIP LOCKED
            ) AS picked
            LIMIT %(companions)s
        ), taken AS (
            SELECT id FROM due UNION ALL SELECT id FROM companion
        )
        UPDATE notifications.notification AS n
        SET attempts = n.attempts + 1, tries = n.tries + 1,
            first_tried_at = COALESCE(n.first_tried_at, %(now)s, now()),
            next_attempt_at = COALESCE(%(now)s, now()) + %(lease)s * interval '1 second'
        FROM taken WHERE n.id = taken.id
        RETURNING n.id, n.incident_id, n.kind, n.channel, n.recipient, n.address, n.lane, n.message, n.page, n.attempts,
            n.tries, n.request_id, n.trace_context, n.created_at, n.redelivered_at,
            EXTRACT(epoch FROM COALESCE(%(now)s, now()) - n.first_tried_at)::double precision AS waited_seconds,
            EXTRACT(epoch FROM COALESCE(%(now)s, now()) - COALESCE(n.redelivered_at, n.created_at))::double precision
                AS age_seconds,
            EXTRACT(epoch FROM COALESCE(%(now)s, now())
                - COALESCE(n.redelivered_at, (n.page ->> 'paged_at')::timestamptz, n.created_at))::double precision
                AS late_seconds
        """,
        now=now,
        busy_lanes=list(busy.keys()),
        busy_counts=list(busy.values()),
        lane_limit=lane_limit,
        limit=limit,
        lease=lease,
        stale=STALE_SECONDS,
        companions=MAX_PAGES,
    )
    return [leased(row, expires=expires) for row in rows]


async def void_leased(
    cur: Cursor, messages: Sequence[LeasedMessage], *, reasons: Sequence[str], now: datetime | None
) -> None:
    """Void messages that this process holds, instead of sending them."""
    await execute(
        cur,
        """
        UPDATE notifications.notification AS n
        SET status = 'voided', reason = held.reason, next_attempt_at = NULL, finished_at = COALESCE(%(now)s, now())
        FROM unnest(%(ids)s::uuid[], %(attempts)s::integer[], %(reasons)s::text[]) AS held (id, attempts, reason)
        WHERE n.id = held.id AND n.attempts = held.attempts AND n.status = 'queued'
        """,
        now=now,
        ids=[message.id for message in messages],
        attempts=[message.attempts for message in messages],
        reasons=list(reasons),
    )


async def insert_attempts(
    cur: Cursor, messages: Sequence[LeasedMessage], outcome: Outcome, *, seconds: float, now: datetime | None
) -> None:
    """Record one attempt to send *messages* together; a repeat of it changes nothing."""
    await execute(
        cur,
        """
        INSERT INTO notifications.attempt (notification_id, number, outcome, code, answer, started_at, seconds)
        SELECT id, number, %(outcome)s, %(code)s, %(answer)s,
            COALESCE(%(now)s, now()) - %(seconds)s * interval '1 second', %(seconds)s
        FROM unnest(%(ids)s::uuid[], %(numbers)s::integer[]) AS tried (id, number)
        ON CONFLICT (notification_id, number) DO NOTHING
        """,
        now=now,
        ids=[message.id for message in messages],
        numbers=[message.attempts for message in messages],
        outcome=outcome.outcome.value,
        code=outcome.code,
        answer=outcome.answer,
        seconds=seconds,
    )


async def finish_attempts(
    cur: Cursor, verdicts: Sequence[tuple[LeasedMessage, Verdict]], *, digest_id: UUID | None, now: datetime | None
) -> set[UUID]:
    """Write what becomes of messages; return those whose attempt was still the newest.

    A message that was voided while it was on its way counts as sent all the same, once it has been: that is the truth.
    """
    rows = await fetch_all(
        cur,
        """
        UPDATE notifications.notification AS n
        SET status = ended.status, reason = ended.reason,
            next_attempt_at = COALESCE(%(now)s, now()) + ended.delay * interval '1 second',
            finished_at = CASE WHEN ended.status <> 'queued' THEN COALESCE(%(now)s, now()) END,
            digest_id = CASE WHEN ended.status = 'sent' THEN %(digest_id)s::uuid END
        FROM unnest(%(ids)s::uuid[], %(attempts)s::integer[], %(statuses)s::text[], %(reasons)s::text[],
                    %(delays)s::double precision[]) AS ended (id, attempts, status, reason, delay)
        WHERE n.id = ended.id AND n.attempts = ended.attempts
          AND (n.status = 'queued' OR (n.status = 'voided' AND ended.status = 'sent'))
        RETURNING n.id
        """,
        now=now,
        digest_id=digest_id,
        ids=[message.id for message, _ in verdicts],
        attempts=[message.attempts for message, _ in verdicts],
        statuses=[verdict.status.value for _, verdict in verdicts],
        reasons=[verdict.reason for _, verdict in verdicts],
        delays=[verdict.delay for _, verdict in verdicts],
    )
    return {row["id"] for row in rows}


async def measure_queue(cur: Cursor, *, now: datetime | None) -> list[Row]:
    """Return per channel how many messages are unfinished, and the age in seconds of the oldest."""
    return await fetch_all(
        cur,
        """
        SELECT channel, count(*) AS queued,
               EXTRACT(epoch FROM COALESCE(%(now)s, now())
                   - min(COALESCE(redelivered_at, created_at)))::double precision AS oldest
        FROM notifications.notification WHERE status = 'queued' GROUP BY channel
        """,
        now=now,
    )


async def count_dead_letters(cur: Cursor) -> list[Row]:
    """Return per channel how many messages were given up, and not sent again since."""
    return await fetch_all(
        cur,
        "SELECT channel, count(*) AS dead FROM notifications.notification WHERE status = 'failed' GROUP BY channel",
    )


async def delete_old_answers(cur: Cursor, *, days: int, now: datetime | None) -> int:
    """Forget answers so old that no page can still be on its way; return how many."""
    return await execute(
        cur,
        """
        DELETE FROM notifications.answered WHERE incident_id IN (
            SELECT incident_id FROM notifications.answered
            WHERE created_at < COALESCE(%(now)s, now()) - %(days)s * interval '1 day' LIMIT 1000)
        """,
        days=days,
        now=now,
    )
