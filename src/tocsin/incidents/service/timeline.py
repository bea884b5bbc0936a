"""The timeline of an incident: read it, and append reports of other services."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from tocsin.contracts.incidents import AppendTimelineEntry, TimelineEntry
from tocsin.contracts.model import Page
from tocsin.incidents.domain.incident import NewTimelineEntry
from tocsin.incidents.queries import TimelineQuery
from tocsin.incidents.repository import timeline
from tocsin.incidents.service import TIMELINE_ENTRIES, Deps
from tocsin.incidents.service.incidents import Reference, get_id, get_summary, not_found
from tocsin.kernel.db import Cursor, autocommit, transaction
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.idempotency import replay
from tocsin.kernel.idempotent_request import IdempotentRequest
from tocsin.kernel.ids import new_id

REPORT: Final = Failpoint("incidents.report")


async def list_timeline(deps: Deps, reference: Reference, query: TimelineQuery) -> Page[TimelineEntry]:
    """Return a page of an incident's timeline, newest first. Raise NotFoundError."""
    async with autocommit(deps.db) as cur:
        incident = await get_summary(cur, await get_id(cur, reference))
        entries, cursor = await timeline.select_timeline(cur, incident.id, before=query.cursor, limit=query.limit)
    return Page(items=entries, next_cursor=cursor)


async def append_report(
    deps: Deps, reference: Reference, report: AppendTimelineEntry, *, request: IdempotentRequest | None = None
) -> TimelineEntry:
    """Append another service's report. A repeated event key has no effect and returns the existing entry."""
    entry_id = new_id()
    async with REPORT(), transaction(deps.db) as cur:
        incident_id = await get_id(cur, reference)
        entry = None
        if await replay(cur, request, entry_id) is None:
            entry = await timeline.insert_report(cur, incident_id, report, entry_id=entry_id)
        entry = entry or await timeline.find_report(cur, incident_id, report.event_key)
        if entry is None:
            raise not_found(incident_id)
    deps.notify_channel.notify(TIMELINE_ENTRIES)
    return entry


async def append_entries(cur: Cursor, incident_id: UUID, reports: Sequence[AppendTimelineEntry]) -> None:
    """Append reports that came with a response, in the caller's transaction; repeated event keys have no effect."""
    await timeline.insert_entries(
        cur,
        [
            NewTimelineEntry(
                incident_id, report.event_type, report.actor, report.detail, report.data, event_key=report.event_key
            )
            for report in reports
        ],
    )
