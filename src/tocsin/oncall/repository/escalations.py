"""Escalations: one row per incident, with the time of its next action."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from tocsin.contracts.escalations import Level
from tocsin.contracts.notifications import IncidentBrief
from tocsin.kernel.db import Cursor, Json, Row, defer, execute, fetch_all, fetch_one, required
from tocsin.kernel.errors import NotFoundError
from tocsin.kernel.tracing import TRACING
from tocsin.oncall.domain.escalation import EscalationStart, StoredEscalation


@dataclass(frozen=True, slots=True)
class StepRecord:
    """The columns of an escalation that an executed step changes."""

    incident_id: UUID
    step: int
    level: Level
    next_level: Level
    assigned_to: str | None


async def insert_escalation(cur: Cursor, *, incident_id: UUID, start: EscalationStart, timeout_seconds: float) -> bool:
    """Insert an escalation that is due now, or complete one whose stop arrived first.

    Return whether level 1 must be paged: False for a repeat and for a stopped escalation.
    """
    row = await fetch_one(
        cur,
        """
        INSERT INTO oncall.escalation AS e
            (incident_id, incident, team, team_reason, timeout_seconds, trace_context, next_action_at)
        VALUES (%(incident_id)s, %(incident)s, %(team)s, %(team_reason)s, %(timeout_seconds)s, %(trace_context)s,
            tocsin.now())
        ON CONFLICT (incident_id) DO UPDATE
            SET incident = EXCLUDED.incident, trace_context = EXCLUDED.trace_context, team = EXCLUDED.team,
                team_reason = EXCLUDED.team_reason
            WHERE e.incident IS NULL
        RETURNING e.stopped_at IS NULL AS running
        """,
        incident_id=incident_id,
        incident=Json(start.incident.model_dump(mode="json")),
        team=start.team,
        team_reason=start.team_reason,
        trace_context=TRACING.context(),
        timeout_seconds=timeout_seconds,
    )
    return row is not None and row["running"]


async def resume_escalation(cur: Cursor, incident_id: UUID) -> StoredEscalation | None:
    """Make a stopped escalation due now, lock it and return it; None if it is running."""
    resumed = await execute(
        cur,
        """
        UPDATE oncall.escalation
        SET stopped_at = NULL, stop_reason = NULL, stopped_by = NULL, next_action_at = tocsin.now()
        WHERE incident_id = %(incident_id)s AND stopped_at IS NOT NULL
        """,
        incident_id=incident_id,
    )
    return await get_escalation(cur, incident_id) if resumed else None


async def mark_stopped(cur: Cursor, *, incident_id: UUID, reason: str, actor: str, timeout_seconds: float) -> bool:
    """Stop an escalation, even one that has not started yet. Return False if it was already stopped."""
    stopped = await execute(
        cur,
        """
        INSERT INTO oncall.escalation AS e (incident_id, timeout_seconds, stopped_at, stop_reason, stopped_by)
        VALUES (%(incident_id)s, %(timeout_seconds)s, tocsin.now(), %(reason)s, %(actor)s)
        ON CONFLICT (incident_id) DO UPDATE
            SET stopped_at = EXCLUDED.stopped_at, stop_reason = EXCLUDED.stop_reason, stopped_by = EXCLUDED.stopped_by,
                next_action_at = NULL
            WHERE e.stopped_at IS NULL
        """,
        incident_id=incident_id,
        timeout_seconds=timeout_seconds,
        reason=reason,
        actor=actor,
    )
    return stopped > 0


async def lock_due(cur: Cursor, *, limit: int) -> list[StoredEscalation]:
    """Lock and return up to *limit* due escalations that no other transaction has locked, the longest overdue first."""
    rows = await fetch_all(
        cur,
        """
        SELECT incident_id FROM oncall.escalation
        WHERE stopped_at IS NULL AND next_action_at <= tocsin.now()
        ORDER BY next_action_at
        LIMIT %(limit)s
        FOR UPDATE SKIP LOCKED
        """,
        limit=limit,
    )
    return await find_escalations(cur, [row["incident_id"] for row in rows])


async def find_trace_contexts(cur: Cursor, incident_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Return the trace context in which each escalation was started."""
    rows = await fetch_all(
        cur,
        """
        SELECT incident_id, trace_context FROM oncall.escalation
        WHERE incident_id = ANY(%(ids)s::uuid[]) AND trace_context IS NOT NULL
        """,
        ids=list(incident_ids),
    )
    return {row["incident_id"]: row["trace_context"] for row in rows}


async def seconds_until_due(cur: Cursor) -> float | None:
    """Return the seconds from the start of the transaction until the next step is due, or None.

    Overdue steps do not count: another replica has locked them.
    """
    row = await fetch_one(
        cur,
        """
        SELECT EXTRACT(epoch FROM min(next_action_at) - tocsin.now())::float8 AS seconds
        FROM oncall.escalation
        WHERE stopped_at IS NULL AND next_action_at > tocsin.now()
        """,
    )
    seconds: float | None = required(row)["seconds"]
    return seconds


async def lock_escalation(cur: Cursor, incident_id: UUID) -> StoredEscalation:
    """Lock an escalation until the end of the transaction and return it. Raise NotFoundError."""
    await execute(cur, "SELECT 1 FROM oncall.escalation WHERE incident_id = %(id)s FOR UPDATE", id=incident_id)
    return await get_escalation(cur, incident_id)


async def get_escalation(cur: Cursor, incident_id: UUID) -> StoredEscalation:
    """Return an escalation. Raise NotFoundError."""
    found = await find_escalations(cur, [incident_id])
    if not found:
        msg = f"Incident {incident_id} has no escalation: paging was never started for it. Check the id."
        raise NotFoundError(msg)
    return found[0]


async def find_escalations(cur: Cursor, incident_ids: Sequence[UUID]) -> list[StoredEscalation]:
    """Return the escalations of the incidents, without incidents that have none."""
    rows = await fetch_all(
        cur,
        """
        SELECT incident_id, incident, team, team_reason, assigned_to, step, level, next_level, timeout_seconds,
               next_action_at, stopped_at, stop_reason, stopped_by
        FROM oncall.escalation
        WHERE incident_id = ANY(%(ids)s::uuid[])
        ORDER BY created_at, incident_id
        """,
        ids=list(incident_ids),
    )
    return [_escalation(row) for row in rows]


async def find_running(cur: Cursor, incident_ids: Sequence[UUID]) -> list[UUID]:
    """Return those of the incidents whose escalation is running."""
    rows = await fetch_all(
        cur,
        "SELECT incident_id FROM oncall.escalation WHERE incident_id = ANY(%(ids)s::uuid[]) AND stopped_at IS NULL",
        ids=list(incident_ids),
    )
    return [row["incident_id"] for row in rows]


async def update_team(cur: Cursor, *, incident_id: UUID, team: str, reason: str) -> None:
    """Assign a locked escalation to another team."""
    await execute(
        cur,
        """
        UPDATE oncall.escalation SET team = %(team)s, team_reason = %(reason)s WHERE incident_id = %(incident_id)s
        """,
        incident_id=incident_id,
        team=team,
        reason=reason,
    )


async def record_steps(cur: Cursor, steps: Sequence[StepRecord]) -> None:
    """Record the latest step of locked escalations; the next one is due after the time-out. This is deferred."""
    await defer(
        cur,
        """
        UPDATE oncall.escalation AS e
        SET step = s.step, level = s.level, next_level = s.next_level,
            assigned_to = COALESCE(e.assigned_to, s.assigned_to),
            next_action_at = tocsin.now() + e.timeout_seconds * interval '1 second'
        FROM unnest(%(ids)s::uuid[], %(steps)s::integer[], %(levels)s::text[], %(next_levels)s::text[],
            %(assigned)s::text[]) AS s (incident_id, step, level, next_level, assigned_to)
        WHERE e.incident_id = s.incident_id
        """,
        ids=[step.incident_id for step in steps],
        steps=[step.step for step in steps],
        levels=[step.level for step in steps],
        next_levels=[step.next_level for step in steps],
        assigned=[step.assigned_to for step in steps],
    )


async def count_running(cur: Cursor) -> Row:
    """Return how many running escalations are overdue or lack a next action, and how long the oldest is overdue."""
    return required(
        await fetch_one(
            cur,
            """
            SELECT count(*) FILTER (WHERE next_action_at <= tocsin.now()) AS overdue,
                   count(*) FILTER (WHERE next_action_at IS NULL) AS without_next_action,
                   GREATEST(0, EXTRACT(epoch FROM tocsin.now() - min(next_action_at)))::float8 AS oldest_seconds
            FROM oncall.escalation WHERE stopped_at IS NULL
            """,
        )
    )


def _escalation(row: Row) -> StoredEscalation:
    start = None
    if row["incident"] is not None:
        start = EscalationStart(IncidentBrief.model_validate(row["incident"]), row["team"], row["team_reason"])
    return StoredEscalation(
        incident_id=row["incident_id"],
        start=start,
        assigned_to=row["assigned_to"],
        step=row["step"],
        level=Level(row["level"]) if row["level"] else None,
        next_level=Level(row["next_level"]),
        timeout_seconds=row["timeout_seconds"],
        next_action_at=row["next_action_at"],
        stopped_at=row["stopped_at"],
        stop_reason=row["stop_reason"],
        stopped_by=row["stopped_by"],
    )
