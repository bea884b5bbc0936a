"""What one web page needs from incident management, each read on one connection without a transaction."""

from collections.abc import Sequence
from typing import Final

from tocsin.contracts.boards import DailyTimes, IncidentBoard, IncidentListing, IncidentView
from tocsin.contracts.incidents import IncidentCounts, IncidentStatus, IncidentSummary
from tocsin.contracts.model import Page
from tocsin.incidents.queries import BoardQuery, IncidentQuery, ListingQuery
from tocsin.incidents.repository import analytics, incidents
from tocsin.incidents.service import Deps
from tocsin.incidents.service.incidents import Reference, get_detail, get_id, select_page
from tocsin.kernel.db import Cursor, Row, autocommit
from tocsin.kernel.pagination import page_of

UNRESOLVED: Final = (IncidentStatus.OPEN, IncidentStatus.ACKNOWLEDGED, IncidentStatus.IN_PROGRESS)


async def get_board(deps: Deps, query: BoardQuery) -> IncidentBoard:
    """Return the newest incidents of each state, and the times of the last days."""
    limits = dict.fromkeys(UNRESOLVED, query.limit) | {IncidentStatus.OPEN: query.open_limit}
    resolved = IncidentQuery.model_validate(
        {"status": [IncidentStatus.RESOLVED], "resolved_since": query.resolved_since, "limit": query.limit}
    )
    async with autocommit(deps.db) as cur:
        rows = await incidents.select_newest(cur, {status: limit + 1 for status, limit in limits.items()})
        newest_resolved = await select_page(cur, resolved)
        days = await analytics.select_daily_times(cur, since=query.days_since.date())
    pages = {
        status.value: _page([row for row in rows if row["status"] == status], limit) for status, limit in limits.items()
    }
    return IncidentBoard(**pages, resolved=newest_resolved, days=[_daily_times(row) for row in days])


async def get_listing(deps: Deps, query: ListingQuery) -> IncidentListing:
    """Return a page of incidents and the number of unresolved ones, of all and of `query.counted_for`."""
    async with autocommit(deps.db) as cur:
        page = await select_page(cur, query)
        counts = await _counts(cur)
        own = await _counts(cur, query.counted_for) if query.counted_for else IncidentCounts()
    return IncidentListing(page=page, counts=counts, own_counts=own)


async def get_view(deps: Deps, reference: Reference, *, resolved: int) -> IncidentView:
    """Return an incident in detail, with the newest *resolved* ones of its service. Raise NotFoundError."""
    async with autocommit(deps.db) as cur:
        incident = await get_detail(cur, await get_id(cur, reference))
        same_service = IncidentQuery.model_validate(
            {"service": incident.service, "status": [IncidentStatus.RESOLVED], "limit": resolved}
        )
        return IncidentView(incident=incident, resolved=await select_page(cur, same_service), counts=await _counts(cur))


async def _counts(cur: Cursor, assigned_to: str | None = None) -> IncidentCounts:
    return IncidentCounts.model_validate(await incidents.count_unresolved(cur, assigned_to=assigned_to))


def _page(rows: Sequence[Row], limit: int) -> Page[IncidentSummary]:
    items, cursor = page_of(rows, limit, incidents.summary_of)
    return Page(items=items, next_cursor=cursor)


def _daily_times(row: Row) -> DailyTimes:
    acknowledged, resolved = row["acknowledged"], row["resolved"]
    return DailyTimes(
        day=row["day"],
        acknowledged=acknowledged,
        mtta_seconds=row["acknowledgement_seconds"] / acknowledged if acknowledged else None,
        resolved=resolved,
        mttr_seconds=row["resolution_seconds"] / resolved if resolved else None,
    )
