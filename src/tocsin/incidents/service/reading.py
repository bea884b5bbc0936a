"""What people look at."""

from datetime import datetime
from typing import Annotated, TypeAlias
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from tocsin.contracts.incidents import (
    AskStates,
    Incident,
    IncidentCounts,
    IncidentStates,
    IncidentStatus,
    IncidentSummary,
    StatsSummary,
    TimelineEntry,
)
from tocsin.contracts.model import Instant, Page, SeverityIn, Text
from tocsin.contracts.overview import IncidentMetrics
from tocsin.incidents.repository import incidents, locking, stats, timeline
from tocsin.kernel.db import Cursor, Database, transaction
from tocsin.kernel.errors import NotFoundError
from tocsin.kernel.pagination import MAX_LIMIT, ListQuery, page_of
from tocsin.kernel.time_range import window_of

Reference: TypeAlias = UUID | int
"""An incident's id, or the number that people say."""
ALERTS_SHOWN = 100
NOTES_SHOWN = 500
TIMELINE_SHOWN = 200
MAX_IDS = 100
"""In one question: twice as many would not fit into the first line of a request."""


class IncidentQuery(ListQuery):
    """Filters of the list of incidents. `id`, `status` and `severity` may be repeated: any of them."""

    id: Annotated[list[UUID], Field(default_factory=list, max_length=MAX_IDS)]
    status: Annotated[list[IncidentStatus], Field(default_factory=list)]
    severity: Annotated[list[SeverityIn], Field(default_factory=list)]
    service: Text | None = None
    assigned_to: Text | None = None
    team: Text | None = None
    since: Instant | None = None
    """Created then or later."""
    until: Instant | None = None
    """Created before."""
    q: Annotated[Text, StringConstraints(min_length=1, max_length=256)] | None = None
    """Words of title, service and description, as in a web search: quotes, `or`, `-`."""


class TimelineQuery(BaseModel):
    """A page of a timeline."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = 50
    cursor: Annotated[int, Field(ge=1, lt=2**63)] | None = None
    """The `next_cursor` of the page before."""


class CountsQuery(BaseModel):
    """Whose incidents are counted: everybody's without a name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    assigned_to: Text | None = None


class StatsQuery(BaseModel):
    """The window of a summary: incidents created in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    since: Instant | None = None
    until: Instant | None = None


async def resolve(cur: Cursor, reference: Reference) -> UUID:
    """Return the id of an incident. Raise NotFoundError where no incident has this number."""
    if isinstance(reference, UUID):
        return reference
    found = await locking.find_incident_id(cur, reference)
    if found is None:
        raise absent(reference)
    return found


async def get_detail(cur: Cursor, incident_id: UUID) -> Incident:
    """Return an incident, whole. Raise NotFoundError where there is none."""
    found = await incidents.find_incident(cur, incident_id)
    if found is None:
        raise absent(incident_id)
    alerts = await incidents.select_alerts(cur, incident_id, limit=ALERTS_SHOWN)
    notes = await incidents.select_notes(cur, incident_id, limit=NOTES_SHOWN)
    entries, cursor = await timeline.select_timeline(cur, incident_id, before=None, limit=TIMELINE_SHOWN)
    return Incident(
        **vars(found),
        alerts=alerts,
        alerts_total=found.alert_count,
        notes=notes,
        timeline=entries,
        timeline_cursor=cursor,
    )


async def show_incident(db: Database, reference: Reference) -> Incident:
    """Return an incident, whole. Raise NotFoundError where there is none."""
    async with transaction(db) as cur:
        return await get_detail(cur, await resolve(cur, reference))


async def list_incidents(db: Database, query: IncidentQuery) -> Page[IncidentSummary]:
    """Return a page of incidents, newest first."""
    filters = query.model_dump(exclude={"limit", "cursor"})
    async with transaction(db) as cur:
        rows = await incidents.select_incidents(cur, **filters, **query.after())
    items, cursor = page_of(rows, query.limit, incidents.summary_of)
    return Page(items=items, next_cursor=cursor)


async def count_incidents(db: Database, query: CountsQuery) -> IncidentCounts:
    """Return how many incidents are not resolved, by state."""
    async with transaction(db) as cur:
        found = await incidents.count_unresolved(cur, assigned_to=query.assigned_to)
    return IncidentCounts.model_validate(found)


async def list_timeline(db: Database, reference: Reference, query: TimelineQuery) -> Page[TimelineEntry]:
    """Return a page of an incident's timeline, newest first. Raise NotFoundError where there is no such incident."""
    async with transaction(db) as cur:
        incident_id = await resolve(cur, reference)
        if await incidents.find_incident(cur, incident_id) is None:
            raise absent(incident_id)
        entries, cursor = await timeline.select_timeline(cur, incident_id, before=query.cursor, limit=query.limit)
    return Page(items=entries, next_cursor=cursor)


async def measure_incident(db: Database, reference: Reference, *, now: datetime | None = None) -> IncidentMetrics:
    """Return how long an incident took. Raise NotFoundError where there is none."""
    async with transaction(db) as cur:
        incident_id = await resolve(cur, reference)
        incident = await incidents.find_incident(cur, incident_id)
        if incident is None:
            raise absent(incident_id)
        until = incident.resolved_at or await locking.select_now(cur, now)
    return IncidentMetrics(
        incident_id=incident.id,
        mtta_seconds=incident.mtta_seconds,
        mttr_seconds=incident.mttr_seconds,
        open_seconds=max(0.0, (until - incident.created_at).total_seconds()),
        status=incident.status,
    )


async def tell_states(db: Database, ask: AskStates) -> IncidentStates:
    """Return how incidents stand; one that does not exist is missing."""
    async with transaction(db) as cur:
        return await incidents.select_states(cur, ask.incident_ids)


async def summarise(
    db: Database, *, since: datetime | None, until: datetime | None, now: datetime | None = None
) -> StatsSummary:
    """Return how well it went for the incidents created in a window; by default the last 30 days.

    Raise InvalidRequestError where the window is empty or longer than 366 days.
    """
    async with transaction(db) as cur:
        begin, end = window_of(since, until, await locking.select_now(cur, now))
        return await stats.select_summary(cur, since=begin, until=end)


def absent(reference: Reference) -> NotFoundError:
    """Build the error that says which incident there is not."""
    name = f"#{reference}" if isinstance(reference, int) else str(reference)
    return NotFoundError(f"There is no incident {name}.")
