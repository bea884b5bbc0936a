"""The timeline as a log of changes, read in an order that never changes behind a reader.

Rows are ordered by the transaction that wrote them, and read only below the oldest transaction that still runs
(`pg_snapshot_xmin`): nothing can be added there any more.
"""

from dataclasses import dataclass

from tocsin.contracts.incidents import IncidentEvent
from tocsin.incidents.domain.position import BEGINNING, Position
from tocsin.kernel.db import Cursor, fetch_all, fetch_one


@dataclass(frozen=True, slots=True)
class Event:
    """One change, ready to be sent."""

    position: Position
    data: str


async def select_events(cur: Cursor, after: Position, *, limit: int) -> tuple[list[Event], bool]:
    """Return up to *limit* changes after a position, and whether later ones wait for an older transaction to end."""
    rows = await fetch_all(
        cur,
        """
        SELECT entry.xid, entry.seq, entry.xid < pg_snapshot_xmin(pg_current_snapshot()) AS settled,
               entry.incident_id, incident.number, entry.event_type, incident.title, incident.service,
               incident.severity, incident.status, entry.actor, entry.detail, entry.created_at
        FROM incidents.timeline AS entry
        JOIN incidents.incident ON incident.id = entry.incident_id
        WHERE (entry.xid, entry.seq) > (%(xid)s::xid8, %(seq)s::bigint)
        ORDER BY entry.xid, entry.seq
        LIMIT %(limit)s
        """,
        xid=str(after.xid),
        seq=after.seq,
        limit=limit,
    )
    events = [
        Event(Position(int(row["xid"]), row["seq"]), IncidentEvent.model_validate(row).model_dump_json())
        for row in rows
        if row["settled"]
    ]
    return events, len(events) < len(rows)


async def select_position(cur: Cursor) -> Position:
    """Return where the stream stands: every change up to there can be read, and nothing will be added before it."""
    row = await fetch_one(
        cur,
        """
        SELECT xid, seq FROM incidents.timeline
        WHERE xid < pg_snapshot_xmin(pg_current_snapshot())
        ORDER BY xid DESC, seq DESC
        LIMIT 1
        """,
    )
    return Position(int(row["xid"]), row["seq"]) if row else BEGINNING
