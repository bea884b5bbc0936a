"""Whether on-call has confirmed an escalation for each incident."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tocsin.contracts.escalations import StartEscalation
from tocsin.incidents.domain.incident import NewTimelineEntry
from tocsin.kernel.db import Cursor, Json, defer, execute, fetch_all
from tocsin.kernel.ids import new_id


@dataclass(frozen=True, slots=True)
class ConfirmedIncident:
    """An incident whose escalation on-call has confirmed."""

    created_at: datetime
    id: UUID


async def confirm_escalation(
    cur: Cursor, assignment: NewTimelineEntry, *, team: str | None, assigned_to: str | None, running: bool
) -> None:
    """Record that on-call pages for an incident, if *running*; append *assignment* if it is its first assignee.

    A team or assignee that a person has set is kept. The version stays the same: otherwise a person's concurrent change
    would fail its If-Match because of on-call's response. This is deferred.
    """
    await defer(
        cur,
        """
        WITH before AS (
            SELECT id, assigned_to FROM incidents.incident
            WHERE id = %(incident_id)s AND escalation_confirmed_at IS NULL
            FOR NO KEY UPDATE
        ), confirmed AS (
            UPDATE incidents.incident AS i
            SET team = COALESCE(i.team, %(team)s),
                assigned_to = COALESCE(before.assigned_to, %(assigned_to)s),
                escalation_confirmed_at = CASE WHEN %(running)s THEN tocsin.now() END,
                updated_at = GREATEST(i.updated_at, tocsin.now())
            FROM before WHERE i.id = before.id
            RETURNING i.id, before.assigned_to IS NULL AND i.assigned_to IS NOT NULL AS assigned)
        INSERT INTO incidents.timeline (id, incident_id, event_type, actor, detail, data)
        SELECT %(entry_id)s, id, %(event_type)s, %(actor)s, %(detail)s, %(data)s FROM confirmed WHERE assigned
        """,
        incident_id=assignment.incident_id,
        team=team,
        assigned_to=assigned_to,
        running=running,
        entry_id=new_id(),
        event_type=assignment.event_type.value,
        actor=assignment.actor,
        detail=assignment.detail,
        data=Json(dict(assignment.data)),
    )


async def find_unescalated(cur: Cursor, *, older_than: float, limit: int) -> tuple[list[UUID], int]:
    """Return the oldest *limit* incidents without an escalation, and the number of all of them.

    These are unacknowledged incidents, more than *older_than* seconds old, for which no escalation is confirmed and no
    start is queued.
    """
    rows = await fetch_all(
        cur,
        """
        SELECT i.id, count(*) OVER () AS total FROM incidents.incident AS i
        WHERE i.acknowledged_at IS NULL AND i.escalation_confirmed_at IS NULL
          AND i.created_at < tocsin.now() - %(older_than)s * interval '1 second'
          AND NOT EXISTS (
              SELECT FROM outbox AS o
              WHERE o.key = i.id::text AND o.kind = 'start_escalation' AND o.done_at IS NULL AND o.parked_at IS NULL)
        ORDER BY i.created_at
        LIMIT %(limit)s
        """,
        older_than=older_than,
        limit=limit,
    )
    return [row["id"] for row in rows], rows[0]["total"] if rows else 0


async def find_confirmed(cur: Cursor, *, after: ConfirmedIncident | None, limit: int) -> list[ConfirmedIncident]:
    """Return the oldest *limit* unacknowledged incidents *after* another whose escalation is confirmed."""
    rows = await fetch_all(
        cur,
        """
        SELECT created_at, id FROM incidents.incident
        WHERE status = 'open' AND escalation_confirmed_at IS NOT NULL
          AND (created_at, id) > (%(created_at)s, %(id)s::uuid)
        ORDER BY created_at, id
        LIMIT %(limit)s
        """,
        created_at=after.created_at if after else "-infinity",
        id=after.id if after else UUID(int=0),
        limit=limit,
    )
    return [ConfirmedIncident(**row) for row in rows]


async def withdraw_confirmations(cur: Cursor, incident_ids: Collection[UUID]) -> int:
    """Record that on-call does not page for those of the incidents that are unacknowledged; return their number."""
    return await execute(
        cur,
        """
        UPDATE incidents.incident SET escalation_confirmed_at = NULL
        WHERE id = ANY(%(incident_ids)s::uuid[]) AND acknowledged_at IS NULL AND escalation_confirmed_at IS NOT NULL
        """,
        incident_ids=list(incident_ids),
    )


async def lock_unescalated(cur: Cursor, incident_ids: Collection[UUID]) -> list[StartEscalation]:
    """Lock those of *incident_ids* that still lack an escalation, and return how to start or resume it.

    Those locked by others are skipped.
    """
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
    return [StartEscalation(**row, resume=True) for row in rows]


async def unpark_starts(cur: Cursor, incident_ids: Collection[UUID]) -> set[UUID]:
    """Queue parked start rows again; return the incidents that now have a queued start row."""
    rows = await fetch_all(
        cur,
        """
        WITH unparked AS (
            UPDATE outbox SET parked_at = NULL, next_attempt_at = tocsin.now()
            WHERE key = ANY(%(keys)s::text[]) AND kind = 'start_escalation'
              AND done_at IS NULL AND parked_at IS NOT NULL
            RETURNING key)
        SELECT key::uuid AS incident_id FROM unparked
        UNION
        SELECT key::uuid FROM outbox
        WHERE key = ANY(%(keys)s::text[]) AND kind = 'start_escalation' AND done_at IS NULL AND parked_at IS NULL
        """,
        keys=[str(incident_id) for incident_id in incident_ids],
    )
    return {row["incident_id"] for row in rows}
