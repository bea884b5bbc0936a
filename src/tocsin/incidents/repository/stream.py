"""The timeline as a log of changes, in an order that is stable for its readers.

Rows are ordered by the transaction that wrote them and read only below the oldest running transaction
(`pg_snapshot_xmin`), where no row can be added any more.
"""

from dataclasses import dataclass

from tocsin.contracts.incidents import IncidentEvent
from tocsin.incidents.domain.stream_position import BEGINNING, StreamPosition
from tocsin.kernel.db import Cursor, fetch_all, fetch_one


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One change, serialised."""

    position: StreamPosition
    data: str


async def select_events(cur: Cursor, after: StreamPosition, *, limit: int) -> tuple[list[StreamEvent], bool]:
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
        StreamEvent(StreamPosition(int(row["xid"]), row["seq"]), IncidentEvent.model_validate(row).model_dump_json())
        for row in rows
        if row["settled"]
    ]
    return events, len(events) < len(rows)


async def select_position(cur: Cursor) -> StreamPosition:
    """Return the end of the stream: the last change below the oldest running transaction."""
    row = await fetch_one(
        cur,
        """
        SELECT xid, seq FROM incidents.timeline
        WHERE xid < pg_snapshot_xmin(pg_current_snapshot())
        ORDER BY xid DESC, seq DESC
        LIMIT 1
        """,
    )
    return StreamPosition(int(row["xid"]), row["seq"]) if row else BEGINNING
