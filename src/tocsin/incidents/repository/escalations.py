"""What incident management knows of the paging for its incidents."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from tocsin.contracts.oncall import StartEscalation
from tocsin.kernel.db import Cursor, fetch_all, fetch_one


async def confirm_escalation(
    cur: Cursor, incident_id: UUID, *, team: str | None, assigned_to: str | None, now: datetime | None
) -> bool:
    """Note that on-call pages for an incident. Return whether that is news and gave the incident its first assignee.

    What people edit is left alone, and so is the version that If-Match compares: nobody's change may fail because the
    service on call answered meanwhile.
    """
    row = await fetch_one(
        cur,
        """
        WITH before AS (
            SELECT id, assigned_to FROM incidents.incident
            WHERE id = %(incident_id)s AND escalation_confirmed_at IS NULL
            FOR NO KEY UPDATE)
        UPDATE incidents.incident AS i
        SET team = COALESCE(i.team, %(team)s),
            assigned_to = COALESCE(before.assigned_to, %(assigned_to)s),
            escalation_confirmed_at = COALESCE(%(now)s, now()),
            updated_at = GREATEST(i.updated_at, COALESCE(%(now)s, now()))
        FROM before WHERE i.id = before.id
        RETURNING before.assigned_to IS NULL AND i.assigned_to IS NOT NULL AS assigned
        """,
        incident_id=incident_id,
        team=team,
        assigned_to=assigned_to,
        now=now,
    )
    return bool(row and row["assigned"])


async def find_unescalated(
    cur: Cursor, *, older_than: float, limit: int, now: datetime | None
) -> tuple[list[UUID], int]:
    """Return unacknowledged incidents, more than *older_than* seconds old, that nobody is or will be paged for.

    The oldest *limit* of them, and how many there are.
    """
    rows = await fetch_all(
        cur,
        """
        SELECT i.id, count(*) OVER () AS total FROM incidents.incident AS i
        WHERE i.acknowledged_at IS NULL AND i.escalation_confirmed_at IS NULL
          AND i.created_at < COALESCE(%(now)s, now()) - %(older_than)s * interval '1 second'
          AND NOT EXISTS (
              SELECT FROM outbox AS o
              WHERE o.key = i.id::text AND o.kind = 'start_escalation' AND o.done_at IS NULL AND o.parked_at IS NULL)
        ORDER BY i.created_at
        LIMIT %(limit)s
        """,
        older_than=older_than,
        limit=limit,
        now=now,
    )
    return [row["id"] for row in rows], rows[0]["total"] if rows else 0


async def lock_unescalated(cur: Cursor, incident_ids: Collection[UUID]) -> list[StartEscalation]:
    """Lock those of *incident_ids* that still wait for an escalation and that nobody else is at, and return them."""
    rows = await fetch_all(
        cur,
        """
        SELECT i.id AS incident_id, i.number, i.title, i.service, i.severity, i.created_at FROM incidents.incident AS i
        WHERE i.id = ANY(%(incident_ids)s::uuid[]) AND i.acknowledged_at IS NULL AND i.escalation_confirmed_at IS NULL
        ORDER BY i.id
        FOR NO KEY UPDATE SKIP LOCKED
        """,
        incident_ids=list(incident_ids),
    )
    return [StartEscalation(**row) for row in rows]


async def unpark_starts(cur: Cursor, incident_ids: Collection[UUID], *, now: datetime | None) -> set[UUID]:
    """Have parked start rows delivered again; return the incidents that have a start row now, pending or unparked."""
    rows = await fetch_all(
        cur,
        """
        WITH unparked AS (
            UPDATE outbox SET parked_at = NULL, next_attempt_at = COALESCE(%(now)s, now())
            WHERE key = ANY(%(keys)s::text[]) AND kind = 'start_escalation'
              AND done_at IS NULL AND parked_at IS NOT NULL
            RETURNING key)
        SELECT key::uuid AS incident_id FROM unparked
        UNION
        SELECT key::uuid FROM outbox
        WHERE key = ANY(%(keys)s::text[]) AND kind = 'start_escalation' AND done_at IS NULL AND parked_at IS NULL
        """,
        keys=[str(incident_id) for incident_id in incident_ids],
        now=now,
    )
    return {row["incident_id"] for row in rows}
