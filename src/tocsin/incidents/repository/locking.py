"""Taking incidents for a change.

Whoever changes a state holds the row's lock, so that nothing attaches to what is being resolved.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

from tocsin.contracts.incidents import IncidentStatus
from tocsin.contracts.model import Severity
from tocsin.incidents.domain.incident import StoredIncident
from tocsin.kernel.db import Cursor, Row, fetch_all, fetch_one, required


async def select_now(cur: Cursor, now: datetime | None) -> datetime:
    """Return *now*, else the database's clock at the transaction's begin."""
    row = required(await fetch_one(cur, "SELECT COALESCE(%(now)s, now()) AS now", now=now))
    at: datetime = row["now"]
    return at


_LOCK: Final = """
    SELECT id, number, title, service, severity, status, assigned_to, firing_count, created_at, acknowledged_at,
           resolved_at, version
    FROM incidents.incident
    WHERE id = ANY(%(incident_ids)s::uuid[])
    ORDER BY id
    FOR NO KEY UPDATE
"""
_LOCK_FREE: Final = _LOCK + " SKIP LOCKED"


async def lock_incidents(
    cur: Cursor, incident_ids: Collection[UUID], *, free_only: bool = False
) -> dict[UUID, StoredIncident]:
    """Lock incidents in the order of their ids, so that no two transactions wait for each other, and return them.

    Against other changes only: NO KEY leaves the foreign keys of alerts, notes and timeline free to look. With
    *free_only* those that somebody holds are left out.
    """
    rows = await fetch_all(cur, _LOCK_FREE if free_only else _LOCK, incident_ids=list(incident_ids))
    return {row["id"]: _stored(row) for row in rows}


async def find_incident_id(cur: Cursor, number: int) -> UUID | None:
    """Return the id of the incident that people call by *number*."""
    row = await fetch_one(cur, "SELECT id FROM incidents.incident WHERE number = %(number)s", number=number)
    return row["id"] if row else None


def _stored(row: Row) -> StoredIncident:
    return StoredIncident(**row | {"severity": Severity(row["severity"]), "status": IncidentStatus(row["status"])})
