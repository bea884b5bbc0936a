"""Statements of the dispatcher: what is due, who has it, and what came of it."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from tocsin.kernel.db import Cursor, Row, execute, fetch_all
from tocsin.notifications.domain import LeasedMessage, Outcome, Verdict, leased


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
    are found by stepping through the index, at a price that does not grow with the queue.
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
            SELECT picked.id
            FROM lane
            LEFT JOIN unnest(%(busy_lanes)s::text[], %(busy_counts)s::integer[]) AS busy (name, sends) USING (name)
            CROSS JOIN LATERAL (
                SELECT n.id, n.kind, n.created_at FROM notifications.notification AS n
                WHERE n.status = 'queued' AND n.lane = lane.name AND n.next_attempt_at <= COALESCE(%(now)s, now())
                ORDER BY n.kind DESC, n.created_at DESC
                LIMIT GREATEST(0, %(lane_limit)s - COALESCE(busy.sends, 0))
                FOR UPDATE SKIP LOCKED
            ) AS picked
            ORDER BY picked.kind DESC, picked.created_at DESC
            LIMIT %(limit)s
        )
        UPDATE notifications.notification AS n
        SET attempts = n.attempts + 1, tries = n.tries + 1,
            first_tried_at = COALESCE(n.first_tried_at, %(now)s, now()),
            next_attempt_at = COALESCE(%(now)s, now()) + %(lease)s * interval '1 second'
        FROM due WHERE n.id = due.id
        RETURNING n.id, n.incident_id, n.kind, n.channel, n.recipient, n.address, n.lane, n.message, n.page, n.attempts,
            n.tries, n.request_id, n.created_at, n.redelivered_at,
            EXTRACT(epoch FROM COALESCE(%(now)s, now()) - n.first_tried_at)::double precision AS waited_seconds,
            EXTRACT(epoch FROM COALESCE(%(now)s, now()) - COALESCE(n.redelivered_at, n.created_at))::double precision
                AS age_seconds
        """,
        now=now,
        busy_lanes=list(busy.keys()),
        busy_counts=list(busy.values()),
        lane_limit=lane_limit,
        limit=limit,
        lease=lease,
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


async def insert_attempt(
    cur: Cursor, message: LeasedMessage, outcome: Outcome, *, seconds: float, now: datetime | None
) -> None:
    """Record one attempt; a repeat of it changes nothing."""
    await execute(
        cur,
        """
        INSERT INTO notifications.attempt (notification_id, number, outcome, code, answer, started_at, seconds)
        VALUES (%(id)s, %(number)s, %(outcome)s, %(code)s, %(answer)s,
            COALESCE(%(now)s, now()) - %(seconds)s * interval '1 second', %(seconds)s)
        ON CONFLICT (notification_id, number) DO NOTHING
        """,
        now=now,
        id=message.id,
        number=message.attempts,
        outcome=outcome.outcome.value,
        code=outcome.code,
        answer=outcome.answer,
        seconds=seconds,
    )


async def finish_attempt(cur: Cursor, message: LeasedMessage, verdict: Verdict, *, now: datetime | None) -> bool:
    """Write what becomes of a message; False where the attempt is no longer the newest.

    A message that was voided while it was on its way counts as sent all the same, once it has been: that is the truth.
    """
    updated = await execute(
        cur,
        """
        UPDATE notifications.notification
        SET status = %(status)s, reason = %(reason)s,
            next_attempt_at = COALESCE(%(now)s, now()) + %(delay)s * interval '1 second',
            finished_at = CASE WHEN %(status)s <> 'queued' THEN COALESCE(%(now)s, now()) END
        WHERE id = %(id)s AND attempts = %(attempts)s
          AND (status = 'queued' OR (status = 'voided' AND %(status)s = 'sent'))
        """,
        now=now,
        status=verdict.status.value,
        reason=verdict.reason,
        delay=verdict.delay,
        id=message.id,
        attempts=message.attempts,
    )
    return updated > 0


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
