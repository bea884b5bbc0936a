"""Incidents: inserted, updated, listed and read in detail."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from tocsin.contracts.alerts import AlertStatus
from tocsin.contracts.incidents import (
    IncidentAlert,
    IncidentStates,
    IncidentStatus,
    IncidentSummary,
    MovedAlert,
    Note,
    OpenIncident,
)
from tocsin.contracts.model import Severity
from tocsin.incidents.domain.incident import StoredIncident
from tocsin.kernel.db import Cursor, Row, execute, fetch_all, fetch_one, required


async def insert_incident(cur: Cursor, incident_id: UUID, given: OpenIncident) -> Row:
    """Insert an incident that a person opens; return its number and creation time."""
    return required(
        await fetch_one(
            cur,
            """
            INSERT INTO incidents.incident (id, title, description, service, severity, assigned_to)
            VALUES (%(id)s, %(title)s, %(description)s, %(service)s, %(severity)s, %(assigned_to)s)
            RETURNING number, created_at
            """,
            id=incident_id,
            title=given.title,
            description=given.description,
            service=given.service,
            severity=given.severity,
            assigned_to=given.assigned_to,
        )
    )


async def update_incident(cur: Cursor, incident: StoredIncident) -> None:
    """Write the fields that a person can change; the caller holds the row's lock."""
    await execute(
        cur,
        """
        UPDATE incidents.incident
        SET title = %(title)s, severity = %(severity)s, status = %(status)s, assigned_to = %(assigned_to)s,
            version = %(version)s, acknowledged_at = %(acknowledged_at)s, resolved_at = %(resolved_at)s,
            updated_at = GREATEST(updated_at, tocsin.now())
        WHERE id = %(id)s
        """,
        id=incident.id,
        title=incident.title,
        severity=incident.severity,
        status=incident.status,
        assigned_to=incident.assigned_to,
        version=incident.version,
        acknowledged_at=incident.acknowledged_at,
        resolved_at=incident.resolved_at,
    )


async def insert_note(cur: Cursor, incident_id: UUID, *, note_id: UUID, text: str, author: str) -> None:
    """Insert a note."""
    await execute(
        cur,
        """
        INSERT INTO incidents.note (id, incident_id, text, author)
        VALUES (%(id)s, %(incident_id)s, %(text)s, %(author)s)
        """,
        id=note_id,
        incident_id=incident_id,
        text=text,
        author=author,
    )


async def select_incidents(cur: Cursor, **filters: Any) -> list[Row]:
    """Return a page of incidents, newest first; a filter that is null or an empty list matches every incident."""
    return await fetch_all(
        cur,
        """
        SELECT id, number, title, description, service, severity, status, team, assigned_to, alert_count, firing_count,
               version, created_at, updated_at, acknowledged_at, resolved_at
        FROM incidents.incident
        WHERE (%(id)s::uuid[] = '{}' OR id = ANY(%(id)s::uuid[]))
          AND (%(status)s::text[] = '{}' OR status = ANY(%(status)s::text[]))
          AND (%(severity)s::text[] = '{}' OR severity = ANY(%(severity)s::text[]))
          AND (%(service)s::text IS NULL OR service = %(service)s)
          AND (%(assigned_to)s::text IS NULL OR assigned_to = %(assigned_to)s)
          AND (%(team)s::text IS NULL OR team = %(team)s)
          AND (%(since)s::timestamptz IS NULL OR created_at >= %(since)s)
          AND (%(until)s::timestamptz IS NULL OR created_at < %(until)s)
          AND (%(resolved_since)s::timestamptz IS NULL OR resolved_at >= %(resolved_since)s)
          AND (%(q)s::text IS NULL OR search @@ websearch_to_tsquery('simple', %(q)s))
          AND (%(after_at)s::timestamptz IS NULL OR (created_at, id) < (%(after_at)s, %(after_id)s::uuid))
        ORDER BY created_at DESC, id DESC
        LIMIT %(fetch)s
        """,
        **filters,
    )


async def select_by_severity(cur: Cursor, **filters: Any) -> list[Row]:
    """Return a page of incidents, most severe first, then newest first, with the filters of `select_incidents`.

    Each severity is read newest first from an index, and at most a page of it.
    """
    return await fetch_all(
        cur,
        """
        SELECT incident.*
        FROM unnest(%(severities)s::text[]) WITH ORDINALITY AS level (severity, rank)
        CROSS JOIN LATERAL (
            SELECT id, number, title, description, service, severity, status, team, assigned_to, alert_count,
                   firing_count, version, created_at, updated_at, acknowledged_at, resolved_at
            FROM incidents.incident AS i
            WHERE i.severity = level.severity
              AND (%(id)s::uuid[] = '{}' OR id = ANY(%(id)s::uuid[]))
              AND (%(status)s::text[] = '{}' OR status = ANY(%(status)s::text[]))
              AND (%(service)s::text IS NULL OR service = %(service)s)
              AND (%(assigned_to)s::text IS NULL OR assigned_to = %(assigned_to)s)
              AND (%(team)s::text IS NULL OR team = %(team)s)
              AND (%(since)s::timestamptz IS NULL OR created_at >= %(since)s)
              AND (%(until)s::timestamptz IS NULL OR created_at < %(until)s)
              AND (%(resolved_since)s::timestamptz IS NULL OR resolved_at >= %(resolved_since)s)
              AND (%(q)s::text IS NULL OR search @@ websearch_to_tsquery('simple', %(q)s))
              AND (level.severity IS DISTINCT FROM %(after_severity)s::text
                   OR (created_at, id) < (%(after_at)s, %(after_id)s::uuid))
            ORDER BY created_at DESC, id DESC
            LIMIT %(fetch)s) AS incident
        ORDER BY level.rank, incident.created_at DESC, incident.id DESC
        LIMIT %(fetch)s
        """,
        **filters,
        severities=_levels(filters["severity"], filters["after_severity"]),
    )


async def select_newest(cur: Cursor, limits: Mapping[IncidentStatus, int]) -> list[Row]:
    """Return the newest incidents of each status in *limits*, at most that many."""
    return await fetch_all(
        cur,
        """
        SELECT incident.*
        FROM unnest(%(statuses)s::text[], %(limits)s::integer[]) AS wanted (name, rows)
        CROSS JOIN LATERAL (
            SELECT id, number, title, description, service, severity, status, team, assigned_to, alert_count,
                   firing_count, version, created_at, updated_at, acknowledged_at, resolved_at
            FROM incidents.incident AS i
            WHERE i.status = wanted.name
            ORDER BY created_at DESC, id DESC
            LIMIT wanted.rows) AS incident
        ORDER BY incident.created_at DESC, incident.id DESC
        """,
        statuses=list(limits),
        limits=list(limits.values()),
    )


async def find_incident(cur: Cursor, incident_id: UUID) -> IncidentSummary | None:
    """Return one incident's summary."""
    row = await fetch_one(
        cur,
        """
        SELECT id, number, title, description, service, severity, status, team, assigned_to, alert_count, firing_count,
               version, created_at, updated_at, acknowledged_at, resolved_at
        FROM incidents.incident WHERE id = %(incident_id)s
        """,
        incident_id=incident_id,
    )
    return summary_of(row) if row else None


def summary_of(row: Row) -> IncidentSummary:
    """Return the summary of an incident's row, with MTTA and MTTR."""
    return IncidentSummary(
        **row,
        mtta_seconds=seconds_between(row["created_at"], row["acknowledged_at"]),
        mttr_seconds=seconds_between(row["created_at"], row["resolved_at"]),
    )


def seconds_between(start: datetime, end: datetime | None) -> float | None:
    """Return the duration in seconds, or None without an end."""
    return (end - start).total_seconds() if end is not None else None


async def select_alerts(cur: Cursor, incident_id: UUID, *, limit: int) -> list[IncidentAlert]:
    """Return the newest of the incident's alerts, and of deleted ones those that are kept."""
    rows = await fetch_all(
        cur,
        """
        (SELECT alert_id, service, severity, message, source, labels, dedup_key, occurrences, attached_at, last_seen_at,
                resolved_at
         FROM incidents.incident_alert
         WHERE incident_id = %(incident_id)s
         ORDER BY attached_at DESC, alert_id DESC
         LIMIT %(limit)s)
        UNION -- both have the same row until the partition is dropped
        SELECT alert_id, service, severity, message, source, labels, dedup_key, occurrences, attached_at, last_seen_at,
               resolved_at
        FROM incidents.kept_alert
        WHERE incident_id = %(incident_id)s
        ORDER BY attached_at DESC, alert_id DESC
        LIMIT %(limit)s
        """,
        incident_id=incident_id,
        limit=limit,
    )
    return [IncidentAlert(**row, status=_alert_status(row)) for row in rows]


async def select_moved_alerts(cur: Cursor, incident_id: UUID, *, limit: int) -> list[MovedAlert]:
    """Return the newest of the alerts that moved from the incident to another one."""
    rows = await fetch_all(
        cur,
        """
        SELECT alert.alert_id, alert.service, alert.severity, alert.message, alert.source, alert.labels,
               alert.dedup_key, alert.occurrences, alert.attached_at, alert.last_seen_at, alert.resolved_at,
               alert.moved_at, alert.moved_to AS moved_to_id, incident.number AS moved_to_number
        FROM incidents.moved_alert AS alert
        JOIN incidents.incident ON incident.id = alert.moved_to
        WHERE alert.incident_id = %(incident_id)s
        ORDER BY alert.moved_at DESC, alert.alert_id DESC
        LIMIT %(limit)s
        """,
        incident_id=incident_id,
        limit=limit,
    )
    return [MovedAlert(**row, status=_alert_status(row)) for row in rows]


async def select_notes(cur: Cursor, incident_id: UUID, *, limit: int) -> list[Note]:
    """Return the newest of the incident's notes, oldest first."""
    rows = await fetch_all(
        cur,
        """
        SELECT id, text, author, created_at FROM incidents.note
        WHERE incident_id = %(incident_id)s
        ORDER BY created_at DESC, id DESC
        LIMIT %(limit)s
        """,
        incident_id=incident_id,
        limit=limit,
    )
    return [Note(**row) for row in reversed(rows)]


async def count_unresolved(cur: Cursor, *, assigned_to: str | None) -> dict[IncidentStatus, int]:
    """Count the unresolved incidents, of one assignee or of all, by state."""
    rows = await fetch_all(
        cur,
        """
        SELECT status, count(*) AS incidents FROM incidents.incident
        WHERE status <> 'resolved' AND (%(assigned_to)s::text IS NULL OR assigned_to = %(assigned_to)s)
        GROUP BY status
        """,
        assigned_to=assigned_to,
    )
    return {IncidentStatus(row["status"]): row["incidents"] for row in rows}


async def select_states(cur: Cursor, incident_ids: Collection[UUID]) -> IncidentStates:
    """Return the states of incidents; unknown ids are left out."""
    rows = await fetch_all(
        cur,
        "SELECT id, status, acknowledged_at FROM incidents.incident WHERE id = ANY(%(incident_ids)s::uuid[])",
        incident_ids=list(incident_ids),
    )
    return IncidentStates(
        states={row["id"]: row["status"] for row in rows},
        answered_at={row["id"]: row["acknowledged_at"] for row in rows if row["acknowledged_at"]},
    )


def _levels(wanted: Collection[Severity], after: Severity | None) -> list[str]:
    """Return the severities of a list from *after* on, most severe first; an empty *wanted* stands for all."""
    levels = list(Severity)
    return [level.value for level in levels[levels.index(after) if after else 0 :] if not wanted or level in wanted]


def _alert_status(row: Row) -> AlertStatus:
    return AlertStatus.RESOLVED if row["resolved_at"] else AlertStatus.FIRING
