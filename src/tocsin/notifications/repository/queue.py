"""The queue: lease due messages, and record the outcomes of attempts."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from tocsin.channels.message import Outcome
from tocsin.kernel.db import Cursor, Row, defer, execute, fetch_all
from tocsin.notifications.domain.decision import Decision
from tocsin.notifications.domain.digest import MAX_PAGES, STALE_SECONDS
from tocsin.notifications.domain.leased_message import LeasedMessage


async def lease_due(
    cur: Cursor,
    *,
    busy: Mapping[str, int],
    sends_at_once: Mapping[str, int],
    limit: int,
    lease: float,
    expires: float,
) -> list[LeasedMessage]:
    """Lease up to *limit* due messages for *lease* seconds: pages before other messages, the newest first.

    *sends_at_once* limits, by channel, the concurrent sends of one rate limit key; *busy* has the current ones, by key.
    No more messages of a key are leased, so that none waits for a slow receiver while its lease runs. The keys are
    found with a loose index scan, whose cost does not grow with the queue. Messages of a channel that is not in
    *sends_at_once* stay queued. With a stale page (`digest`) the recipient's other stale pages are leased as well,
    beyond these limits. *expires* is the end of the lease by the monotonic clock.
    """
    rows = await fetch_all(
        cur,
        """
        WITH RECURSIVE key (name) AS (
            (SELECT rate_limit_key FROM notifications.notification WHERE status = 'queued'
             ORDER BY rate_limit_key LIMIT 1)
            UNION ALL
            SELECT (SELECT n.rate_limit_key FROM notifications.notification AS n
                    WHERE n.status = 'queued' AND n.rate_limit_key > key.name ORDER BY n.rate_limit_key LIMIT 1)
            FROM key WHERE key.name IS NOT NULL
        ), due AS (
            SELECT picked.id, key.name AS key, picked.channel, picked.address, picked.stale
            FROM key
            LEFT JOIN unnest(%(busy_keys)s::text[], %(busy_counts)s::integer[]) AS busy (name, sends) USING (name)
            JOIN unnest(%(channels)s::text[], %(limits)s::integer[]) AS channel (name, sends_at_once)
                ON channel.name = split_part(key.name, ' ', 1)
            CROSS JOIN LATERAL (
                SELECT n.id, n.kind, n.created_at, n.channel, n.address, n.redelivered_at IS NULL AND n.kind = 'page'
                    AND COALESCE((n.page ->> 'paged_at')::timestamptz, n.created_at)
                        <= tocsin.now() - %(stale)s * interval '1 second' AS stale
                FROM notifications.notification AS n
                WHERE n.status = 'queued' AND n.rate_limit_key = key.name AND n.next_attempt_at <= tocsin.now()
                ORDER BY n.kind DESC, n.created_at DESC
                LIMIT GREATEST(0, channel.sends_at_once - COALESCE(busy.sends, 0))
                FOR UPDATE SKIP LOCKED
            ) AS picked
            ORDER BY picked.kind DESC, picked.created_at DESC
            LIMIT %(limit)s
        ), companion AS (
            SELECT picked.id
            FROM (SELECT DISTINCT key, channel, address FROM due WHERE stale) AS recipient
            CROSS JOIN LATERAL (
                SELECT n.id FROM notifications.notification AS n
                WHERE n.status = 'queued' AND n.rate_limit_key = recipient.key AND n.kind = 'page'
                    AND n.channel = recipient.channel AND n.address = recipient.address AND n.redelivered_at IS NULL
                    -- A page that was tried may be leased now; an untried one that is not due only gathers other pages.
                    AND (n.tries = 0 OR n.next_attempt_at <= tocsin.now())
                    AND COALESCE((n.page ->> 'paged_at')::timestamptz, n.created_at)
                        <= tocsin.now() - %(stale)s * interval '1 second'
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
            first_tried_at = COALESCE(n.first_tried_at, tocsin.now()),
            next_attempt_at = tocsin.now() + %(lease)s * interval '1 second'
        FROM taken WHERE n.id = taken.id
        RETURNING n.id, n.incident_id, n.kind, n.channel, n.recipient, n.address, n.rate_limit_key, n.message, n.page,
            n.attempts, n.tries, n.request_id, n.trace_context, n.created_at, n.redelivered_at,
            EXTRACT(epoch FROM tocsin.now() - n.first_tried_at)::double precision AS waited_seconds,
            EXTRACT(epoch FROM tocsin.now() - COALESCE(n.redelivered_at, n.created_at))::double precision
                AS age_seconds,
            EXTRACT(epoch FROM tocsin.now()
                - COALESCE(n.redelivered_at, (n.page ->> 'paged_at')::timestamptz, n.created_at))::double precision
                AS late_seconds
        """,
        busy_keys=list(busy.keys()),
        busy_counts=list(busy.values()),
        channels=list(sends_at_once.keys()),
        limits=list(sends_at_once.values()),
        limit=limit,
        lease=lease,
        stale=STALE_SECONDS,
        companions=MAX_PAGES,
    )
    return [LeasedMessage.from_row(row, expires=expires) for row in rows]


async def cancel_leased(cur: Cursor, messages: Sequence[LeasedMessage], *, reasons: Sequence[str]) -> None:
    """Cancel messages that this process has leased."""
    await execute(
        cur,
        """
        UPDATE notifications.notification AS n
        SET status = 'voided', reason = held.reason, next_attempt_at = NULL, finished_at = tocsin.now()
        FROM unnest(%(ids)s::uuid[], %(attempts)s::integer[], %(reasons)s::text[]) AS held (id, attempts, reason)
        WHERE n.id = held.id AND n.attempts = held.attempts AND n.status = 'queued'
        """,
        ids=[message.id for message in messages],
        attempts=[message.attempts for message in messages],
        reasons=list(reasons),
    )


async def insert_attempts(cur: Cursor, messages: Sequence[LeasedMessage], outcome: Outcome, *, seconds: float) -> None:
    """Record one attempt to send *messages* together; a repeat of the statement is a no-op. This is deferred."""
    await defer(
        cur,
        """
        INSERT INTO notifications.attempt (notification_id, number, outcome, code, answer, started_at, seconds)
        SELECT id, number, %(outcome)s, %(code)s, %(answer)s, tocsin.now() - %(seconds)s * interval '1 second',
            %(seconds)s
        FROM unnest(%(ids)s::uuid[], %(numbers)s::integer[]) AS tried (id, number)
        ON CONFLICT (notification_id, number) DO NOTHING
        """,
        ids=[message.id for message in messages],
        numbers=[message.attempts for message in messages],
        outcome=outcome.outcome.value,
        code=outcome.code,
        answer=outcome.detail,
        seconds=seconds,
    )


async def finish_attempts(
    cur: Cursor, decisions: Sequence[tuple[LeasedMessage, Decision]], *, digest_id: UUID | None
) -> set[UUID]:
    """Apply *decisions*; return the ids of the messages whose attempt is still the newest.

    A message that was cancelled during its attempt, but was sent, counts as sent.
    """
    rows = await fetch_all(
        cur,
        """
        UPDATE notifications.notification AS n
        SET status = ended.status, reason = ended.reason,
            next_attempt_at = tocsin.now() + ended.delay * interval '1 second',
            finished_at = CASE WHEN ended.status <> 'queued' THEN tocsin.now() END,
            digest_id = CASE WHEN ended.status = 'sent' THEN %(digest_id)s::uuid END
        FROM unnest(%(ids)s::uuid[], %(attempts)s::integer[], %(statuses)s::text[], %(reasons)s::text[],
                    %(delays)s::double precision[]) AS ended (id, attempts, status, reason, delay)
        WHERE n.id = ended.id AND n.attempts = ended.attempts
          AND (n.status = 'queued' OR (n.status = 'voided' AND ended.status = 'sent'))
        RETURNING n.id
        """,
        digest_id=digest_id,
        ids=[message.id for message, _ in decisions],
        attempts=[message.attempts for message, _ in decisions],
        statuses=[decision.status.value for _, decision in decisions],
        reasons=[decision.reason for _, decision in decisions],
        delays=[decision.delay for _, decision in decisions],
    )
    return {row["id"] for row in rows}


async def measure_queue(cur: Cursor) -> list[Row]:
    """Return the number of unfinished messages by channel, and the age in seconds of the oldest."""
    return await fetch_all(
        cur,
        """
        SELECT channel, count(*) AS queued,
               EXTRACT(epoch FROM tocsin.now()
                   - min(COALESCE(redelivered_at, created_at)))::double precision AS oldest
        FROM notifications.notification WHERE status = 'queued' GROUP BY channel
        """,
    )


async def count_dead_letters(cur: Cursor) -> list[Row]:
    """Return the number of failed messages by channel, without those that were redelivered."""
    return await fetch_all(
        cur,
        "SELECT channel, count(*) AS dead FROM notifications.notification WHERE status = 'failed' GROUP BY channel",
    )
