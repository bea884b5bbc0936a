"""The timeline of incidents, which is append-only."""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from pydantic_core import to_json

from tocsin.contracts.incidents import AppendTimelineEntry, TimelineEntry
from tocsin.incidents.domain.incident import NewTimelineEntry
from tocsin.kernel.db import Cursor, Json, Row, defer, fetch_all, fetch_one
from tocsin.kernel.ids import new_id
from tocsin.kernel.prepared import PreparedStatement

_INSERT_ENTRIES: Final = PreparedStatement(
    "insert_entries",
    """
    INSERT INTO incidents.timeline (id, incident_id, event_key, event_type, actor, detail, data)
    SELECT id, incident_id, event_key, event_type, actor, detail, data::jsonb
    FROM unnest(%(ids)s::uuid[], %(incident_ids)s::uuid[], %(event_keys)s::text[], %(event_types)s::text[],
                %(actors)s::text[], %(details)s::text[], %(data)s::text[])
        WITH ORDINALITY AS entry (id, incident_id, event_key, event_type, actor, detail, data, position)
    ORDER BY position
    ON CONFLICT (incident_id, event_key) WHERE event_key IS NOT NULL DO NOTHING
    """,
    ids="uuid[]",
    incident_ids="uuid[]",
    event_keys="text[]",
    event_types="text[]",
    actors="text[]",
    details="text[]",
    data="text[]",
)


async def insert_entries(cur: Cursor, entries: Iterable[NewTimelineEntry]) -> None:
    """Append *entries* in this order."""
    listed = list(entries)
    if not listed:
        return
    await defer(
        cur,
        _INSERT_ENTRIES,
        ids=[new_id() for _ in listed],
        incident_ids=[entry.incident_id for entry in listed],
        event_keys=[entry.event_key for entry in listed],
        event_types=[entry.event_type.value for entry in listed],
        actors=[entry.actor for entry in listed],
        details=[entry.detail for entry in listed],
        data=[to_json(entry.data).decode() for entry in listed],
    )


async def insert_report(
    cur: Cursor, incident_id: UUID, report: AppendTimelineEntry, *, entry_id: UUID
) -> TimelineEntry | None:
    """Append another service's report. Return None if its event key or no incident exists."""
    row = await fetch_one(
        cur,
        """
        INSERT INTO incidents.timeline (id, incident_id, event_key, event_type, actor, detail, data)
        SELECT %(id)s, incident.id, %(event_key)s, %(event_type)s, %(actor)s, %(detail)s, %(data)s
        FROM incidents.incident WHERE incident.id = %(incident_id)s
        ON CONFLICT (incident_id, event_key) WHERE event_key IS NOT NULL DO NOTHING
        RETURNING id, event_type, actor, detail, data, created_at
        """,
        id=entry_id,
        incident_id=incident_id,
        event_key=report.event_key,
        event_type=report.event_type,
        actor=report.actor,
        detail=report.detail,
        data=Json(report.data),
    )
    return TimelineEntry(**row) if row else None


async def find_report(cur: Cursor, incident_id: UUID, event_key: str) -> TimelineEntry | None:
    """Return the entry with *event_key*."""
    row = await fetch_one(
        cur,
        """
        SELECT id, event_type, actor, detail, data, created_at
        FROM incidents.timeline WHERE incident_id = %(incident_id)s AND event_key = %(event_key)s
        """,
        incident_id=incident_id,
        event_key=event_key,
    )
    return TimelineEntry(**row) if row else None


async def select_timeline(
    cur: Cursor, incident_id: UUID, *, before: int | None, limit: int
) -> tuple[list[TimelineEntry], str | None]:
    """Return up to *limit* entries below the cursor *before*, newest first, and the next page's cursor."""
    rows = await fetch_all(
        cur,
        """
        SELECT id, seq, event_type, actor, detail, data, created_at
        FROM incidents.timeline
        WHERE incident_id = %(incident_id)s AND (%(before)s::bigint IS NULL OR seq < %(before)s)
        ORDER BY seq DESC
        LIMIT %(fetch)s
        """,
        incident_id=incident_id,
        before=before,
        fetch=limit + 1,
    )
    cursor = str(rows[limit - 1]["seq"]) if len(rows) > limit else None
    return [_entry(row) for row in rows[:limit]], cursor


def _entry(row: Row) -> TimelineEntry:
    return TimelineEntry(**{name: row[name] for name in TimelineEntry.model_fields})
