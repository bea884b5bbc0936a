"""The statements of the outbox: each changes a row only while the caller holds its lease."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from pydantic import BaseModel

from tocsin.kernel.db import Cursor, Row, defer, execute, fetch_all, fetch_one, required
from tocsin.kernel.prepared import PreparedStatement
from tocsin.kernel.request_id import REQUEST_ID
from tocsin.kernel.tracing import TRACING

KEEP_DONE_HOURS: Final = 24
DELETE_BATCH_ROWS: Final = 1_000
MAX_REASON: Final = 2_000
_INSERT_ROWS: Final = PreparedStatement(
    "insert_outbox_rows",
    """
    INSERT INTO outbox (message_id, kind, key, body, request_id, trace_context)
    SELECT message_id, %(kind)s, key, decode(body, 'hex'), %(request_id)s, COALESCE(trace_context, %(current)s)
    FROM unnest(%(message_ids)s::uuid[], %(keys)s::text[], %(bodies)s::text[], %(trace_contexts)s::text[])
        WITH ORDINALITY AS row (message_id, key, body, trace_context, position)
    ORDER BY position
    """,
    kind="text",
    request_id="text",
    message_ids="uuid[]",
    keys="text[]",
    bodies="text[]",
    trace_contexts="text[]",
    current="text",
)


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """A leased row."""

    id: int
    message_id: UUID
    """The idempotency key of every attempt."""
    kind: str
    key: str
    body: bytes
    """What every attempt sends, serialised once when the row was enqueued."""
    request_id: str
    trace_context: str | None
    attempts: int
    expires: float
    """When the lease ends, by this process's monotonic clock."""


async def insert_many(
    cur: Cursor,
    *,
    kind: str,
    rows: Sequence[tuple[UUID, str, BaseModel]],
    trace_contexts: Sequence[str | None] | None = None,
) -> None:
    """Insert (message id, key, body) rows in this order, each with its own trace context or with the current one."""
    await defer(
        cur,
        _INSERT_ROWS,
        kind=kind,
        request_id=REQUEST_ID.get(),
        message_ids=[row[0] for row in rows],
        keys=[row[1] for row in rows],
        bodies=[row[2].model_dump_json().encode().hex() for row in rows],
        trace_contexts=list(trace_contexts or ()),
        current=TRACING.context(),
    )


async def lease(
    cur: Cursor, *, kinds: Sequence[str], seconds: float, limit: int, expires: float
) -> list[OutboxMessage]:
    """Lease the oldest undelivered row of up to *limit* keys for *seconds*: until *expires*, by the monotonic clock.

    Rows of kinds not in *kinds* are skipped: a newer release wrote them, and its replicas deliver them.
    """
    rows = await fetch_all(
        cur,
        """
        WITH due AS MATERIALIZED (
            SELECT o.id FROM outbox AS o
            WHERE o.done_at IS NULL AND o.parked_at IS NULL
              AND o.next_attempt_at <= tocsin.now()
              AND o.kind = ANY(%(kinds)s)
              AND NOT EXISTS (
                  SELECT FROM outbox AS earlier
                  WHERE earlier.key = o.key AND earlier.id < o.id
                    AND earlier.done_at IS NULL AND earlier.parked_at IS NULL)
            ORDER BY o.next_attempt_at
            LIMIT %(limit)s
            FOR UPDATE SKIP LOCKED)
        UPDATE outbox AS o
        SET attempts = o.attempts + 1,
            next_attempt_at = tocsin.now() + %(seconds)s * interval '1 second'
        FROM due WHERE o.id = due.id
        RETURNING o.id, o.message_id, o.kind, o.key, o.body, o.request_id, o.trace_context, o.attempts
        """,
        kinds=list(kinds),
        seconds=seconds,
        limit=limit,
    )
    return [OutboxMessage(**{**row, "body": bytes(row["body"]), "expires": expires}) for row in rows]


async def mark_done(cur: Cursor, message: OutboxMessage) -> bool:
    """Mark the row as delivered; False if another replica holds the lease."""
    updated = await execute(
        cur,
        """
        UPDATE outbox SET done_at = tocsin.now(), last_error = NULL
        WHERE id = %(id)s AND attempts = %(attempts)s AND done_at IS NULL AND parked_at IS NULL
        """,
        id=message.id,
        attempts=message.attempts,
    )
    return updated > 0


async def mark_retry(cur: Cursor, message: OutboxMessage, *, reason: str, delay: float) -> None:
    """Schedule the next attempt in *delay* seconds."""
    await execute(
        cur,
        """
        UPDATE outbox
        SET next_attempt_at = tocsin.now() + %(delay)s * interval '1 second', last_error = %(reason)s
        WHERE id = %(id)s AND attempts = %(attempts)s AND done_at IS NULL
        """,
        delay=delay,
        reason=_storable(reason),
        id=message.id,
        attempts=message.attempts,
    )


async def mark_parked(cur: Cursor, message: OutboxMessage, *, reason: str) -> None:
    """Park the row, so that the next row of its key can be delivered."""
    await execute(
        cur,
        """
        UPDATE outbox SET parked_at = tocsin.now(), last_error = %(reason)s
        WHERE id = %(id)s AND attempts = %(attempts)s AND done_at IS NULL
        """,
        reason=_storable(reason),
        id=message.id,
        attempts=message.attempts,
    )


async def select_done(cur: Cursor, message_ids: Sequence[UUID]) -> list[UUID]:
    """Return those of *message_ids* that have been delivered."""
    rows = await fetch_all(
        cur,
        "SELECT message_id FROM outbox WHERE message_id = ANY(%(ids)s) AND done_at IS NOT NULL",
        ids=list(message_ids),
    )
    return [row["message_id"] for row in rows]


async def count(cur: Cursor) -> Row:
    """Return the numbers of `undelivered` and `parked` rows, and the age of the `oldest` undelivered one in seconds."""
    return required(
        await fetch_one(
            cur,
            """
            SELECT count(*) FILTER (WHERE parked_at IS NULL) AS undelivered,
                   count(*) FILTER (WHERE parked_at IS NOT NULL) AS parked,
                   COALESCE(EXTRACT(epoch FROM tocsin.now() - min(created_at) FILTER (WHERE parked_at IS NULL)), 0)
                       AS oldest
            FROM outbox WHERE done_at IS NULL
            """,
        )
    )


async def delete_old(cur: Cursor) -> bool:
    """Delete a batch of rows delivered more than KEEP_DONE_HOURS ago; True if there may be more."""
    deleted = await execute(
        cur,
        """
        DELETE FROM outbox WHERE id IN (
            SELECT id FROM outbox WHERE done_at < tocsin.now() - %(hours)s * interval '1 hour' LIMIT %(limit)s)
        """,
        hours=KEEP_DONE_HOURS,
        limit=DELETE_BATCH_ROWS,
    )
    return deleted == DELETE_BATCH_ROWS


def _storable(reason: str) -> str:
    """Return the part of *reason* that the database can store."""
    return reason.replace("\0", "")[:MAX_REASON].encode(errors="replace").decode()
