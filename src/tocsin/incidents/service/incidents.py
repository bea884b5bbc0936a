"""Read incidents: the list, one in detail, counts and states."""

from typing import Final, TypeAlias
from uuid import UUID

from tocsin.contracts.incidents import (
    MAX_MOVED_ALERTS,
    Incident,
    IncidentCounts,
    IncidentSort,
    IncidentStates,
    IncidentSummary,
    QueryStates,
)
from tocsin.contracts.model import Page
from tocsin.contracts.overview import IncidentMetrics
from tocsin.incidents.queries import CountsQuery, IncidentCursor, IncidentQuery
from tocsin.incidents.repository import incidents, locking, timeline
from tocsin.incidents.service import Deps
from tocsin.kernel.db import Cursor, autocommit
from tocsin.kernel.errors import NotFoundError
from tocsin.kernel.pagination import page_of

Reference: TypeAlias = UUID | int
"""An incident's id or number."""
FILTERS: Final = frozenset(IncidentQuery.model_fields) - {"limit", "cursor", "sort"}
"""The filters of a list of incidents."""
ALERTS_SHOWN = 100
NOTES_SHOWN = 500
TIMELINE_SHOWN = 200


async def list_incidents(deps: Deps, query: IncidentQuery) -> Page[IncidentSummary]:
    """Return a page of incidents, in the order of `query.sort`."""
    async with autocommit(deps.db) as cur:
        return await select_page(cur, query)


async def select_page(cur: Cursor, query: IncidentQuery) -> Page[IncidentSummary]:
    """Return a page of incidents, in the order of `query.sort`."""
    by_severity = query.sort is IncidentSort.SEVERITY
    select = incidents.select_by_severity if by_severity else incidents.select_incidents
    filters = query.model_dump(include=set(FILTERS))
    rows = await select(cur, **filters, **query.after())
    items, keyset = page_of(rows, query.limit, incidents.summary_of)
    cursor = IncidentCursor(items[-1].severity if by_severity else None, keyset).encode() if keyset else None
    return Page(items=items, next_cursor=cursor)


async def get_incident(deps: Deps, reference: Reference) -> Incident:
    """Return an incident in detail. Raise NotFoundError."""
    async with autocommit(deps.db) as cur:
        return await get_detail(cur, await get_id(cur, reference))


async def count_incidents(deps: Deps, query: CountsQuery) -> IncidentCounts:
    """Count the unresolved incidents by state."""
    async with autocommit(deps.db) as cur:
        found = await incidents.count_unresolved(cur, assigned_to=query.assigned_to)
    return IncidentCounts.model_validate(found)


async def get_incident_metrics(deps: Deps, reference: Reference) -> IncidentMetrics:
    """Return an incident's MTTA, MTTR and time open. Raise NotFoundError."""
    async with autocommit(deps.db) as cur:
        incident = await get_summary(cur, await get_id(cur, reference))
        until = incident.resolved_at or await locking.select_now(cur)
    return IncidentMetrics(
        incident_id=incident.id,
        mtta_seconds=incident.mtta_seconds,
        mttr_seconds=incident.mttr_seconds,
        open_seconds=max(0.0, (until - incident.created_at).total_seconds()),
        status=incident.status,
    )


async def get_states(deps: Deps, query: QueryStates) -> IncidentStates:
    """Return the states of incidents; unknown ids are left out."""
    async with autocommit(deps.db) as cur:
        return await incidents.select_states(cur, query.incident_ids)


async def get_id(cur: Cursor, reference: Reference) -> UUID:
    """Return the id of an incident. Raise NotFoundError for an unknown number; an id is returned unchecked."""
    if isinstance(reference, UUID):
        return reference
    found = await locking.find_incident_id(cur, reference)
    if found is None:
        raise not_found(reference)
    return found


async def get_summary(cur: Cursor, incident_id: UUID) -> IncidentSummary:
    """Return an incident's summary. Raise NotFoundError."""
    found = await incidents.find_incident(cur, incident_id)
    if found is None:
        raise not_found(incident_id)
    return found


async def get_detail(cur: Cursor, incident_id: UUID) -> Incident:
    """Return an incident with its alerts, notes and timeline. Raise NotFoundError."""
    summary = await get_summary(cur, incident_id)
    alerts = await incidents.select_alerts(cur, incident_id, limit=ALERTS_SHOWN)
    moved = await incidents.select_moved_alerts(cur, incident_id, limit=MAX_MOVED_ALERTS)
    notes = await incidents.select_notes(cur, incident_id, limit=NOTES_SHOWN)
    entries, cursor = await timeline.select_timeline(cur, incident_id, before=None, limit=TIMELINE_SHOWN)
    return Incident(
        **vars(summary),
        alerts=alerts,
        alerts_total=summary.alert_count,
        moved_alerts=moved,
        notes=notes,
        timeline=entries,
        timeline_cursor=cursor,
    )


def not_found(reference: Reference) -> NotFoundError:
    """Return the error for an unknown incident."""
    name = f"#{reference}" if isinstance(reference, int) else str(reference)
    return NotFoundError(f"There is no incident {name}.")
