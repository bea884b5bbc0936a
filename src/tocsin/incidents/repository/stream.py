"""The timeline as a log of changes, in an order that is stable for its readers.

Rows are ordered by the transaction that wrote them and read only below the oldest running transaction of this database,
where no row can be added any more. Those of the server's other databases are left out: one that runs for hours would
stop the stream. A running transaction counts as this database's until the server shows whose it is.
"""

from dataclasses import dataclass

from tocsin.contracts.contact_types import MAIL_ADDRESS, masked, masked_in
from tocsin.contracts.incident_events import IncidentEvent
from tocsin.incidents.domain.stream_position import BEGINNING, StreamPosition
from tocsin.kernel.db import Cursor, Row, fetch_all, fetch_one
from tocsin.kernel.event_streams import encode_event


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One change."""

    position: StreamPosition
    encoded: bytes
    """As it is sent: encoded once, for all clients."""


async def select_events(cur: Cursor, after: StreamPosition, *, limit: int) -> tuple[list[StreamEvent], bool]:
    """Return up to *limit* changes after a position, and whether later ones wait for an older transaction to end."""
    rows = await fetch_all(
        cur,
        """
        WITH elsewhere AS (
            SELECT held.transactionid FROM pg_locks AS held JOIN pg_stat_activity AS session USING (pid)
            WHERE held.locktype = 'transactionid' AND held.mode = 'ExclusiveLock' AND held.granted
              AND session.datname <> current_database()
        ), running AS (
            SELECT min(xid) AS oldest FROM pg_snapshot_xip(pg_current_snapshot()) AS xid
            WHERE xid::xid NOT IN (SELECT transactionid FROM elsewhere)
        )
        SELECT entry.xid, entry.seq,
               entry.xid < COALESCE(
                   (SELECT oldest FROM running), pg_snapshot_xmax(pg_current_snapshot())) AS settled,
               entry.incident_id, incident.number, entry.event_type, incident.title, incident.service,
               incident.severity, incident.status, entry.actor, entry.detail, entry.created_at,
               entry.data ->> 'recipient' AS recipient
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
    events = [_event(row) for row in rows if row["settled"]]
    return events, len(events) < len(rows)


def _event(row: Row) -> StreamEvent:
    position = StreamPosition(int(row["xid"]), row["seq"])
    event = IncidentEvent.model_validate(row)
    if row["recipient"]:
        # A release before this one wrote addresses into sentences. One encoding is sent to all clients.
        detail = MAIL_ADDRESS.sub(lambda found: masked(found[0]), masked_in(event.detail, row["recipient"]))
        event = event.model_copy(update={"detail": detail})
    data = event.model_dump_json()
    return StreamEvent(position, encode_event(event_id=str(position), event="incident", data=data))


async def select_position(cur: Cursor) -> StreamPosition:
    """Return the end of the stream: the last change below the oldest running transaction."""
    row = await fetch_one(
        cur,
        """
        WITH elsewhere AS (
            SELECT held.transactionid FROM pg_locks AS held JOIN pg_stat_activity AS session USING (pid)
            WHERE held.locktype = 'transactionid' AND held.mode = 'ExclusiveLock' AND held.granted
              AND session.datname <> current_database()
        ), running AS (
            SELECT min(xid) AS oldest FROM pg_snapshot_xip(pg_current_snapshot()) AS xid
            WHERE xid::xid NOT IN (SELECT transactionid FROM elsewhere)
        )
        SELECT xid, seq FROM incidents.timeline
        WHERE xid < COALESCE((SELECT oldest FROM running), pg_snapshot_xmax(pg_current_snapshot()))
        ORDER BY xid DESC, seq DESC
        LIMIT 1
        """,
    )
    return StreamPosition(int(row["xid"]), row["seq"]) if row else BEGINNING
