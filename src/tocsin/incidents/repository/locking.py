"""Row locks on incidents. Every change of state takes one, so that no alert attaches while an incident resolves."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from tocsin.contracts.incidents import IncidentStatus
from tocsin.contracts.model import Severity
from tocsin.incidents.domain.incident import StoredIncident
from tocsin.kernel.db import Cursor, Row, fetch_all, fetch_one, required


async def lock_incidents(cur: Cursor, incident_ids: Collection[UUID]) -> dict[UUID, StoredIncident]:
    """Lock and return incidents, in the order of their ids to avoid deadlocks.

    NO KEY does not block inserts of alerts, notes and timeline entries, whose foreign keys share-lock the row.
    """
    rows = await fetch_all(
        cur,
        """
        SELECT id, number, title, service, severity, status, assigned_to, firing_count, created_at, acknowledged_at,
               resolved_at, version
        FROM incidents.incident
        WHERE id = ANY(%(incident_ids)s::uuid[])
        ORDER BY id
        FOR NO KEY UPDATE
        """,
        incident_ids=list(incident_ids),
    )
    return {row["id"]: _stored(row) for row in rows}


async def find_incident_id(cur: Cursor, number: int) -> UUID | None:
    """Return the id of the incident with *number*."""
    row = await fetch_one(cur, "SELECT id FROM incidents.incident WHERE number = %(number)s", number=number)
    return row["id"] if row else None


async def select_now(cur: Cursor) -> datetime:
    """Return the database's time at the start of the transaction."""
    row = required(await fetch_one(cur, "SELECT tocsin.now() AS now"))
    at: datetime = row["now"]
    return at


def _stored(row: Row) -> StoredIncident:
    return StoredIncident(**row | {"severity": Severity(row["severity"]), "status": IncidentStatus(row["status"])})
