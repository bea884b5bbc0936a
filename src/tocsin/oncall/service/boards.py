"""What one web page needs from on-call, each read on one connection without a transaction."""

from collections.abc import Sequence
from uuid import UUID

from tocsin.contracts.boards import OnCallBoard, OnCallListing
from tocsin.contracts.escalations import Escalation
from tocsin.contracts.model import Page
from tocsin.contracts.oncall import Schedule
from tocsin.kernel.db import Cursor, autocommit
from tocsin.kernel.principal import Principal
from tocsin.oncall.queries import BoardQuery
from tocsin.oncall.repository import escalations, schedules
from tocsin.oncall.service import Deps
from tocsin.oncall.service.authority import find_authority
from tocsin.oncall.service.shifts import on_call_view
from tocsin.oncall.service.views import escalation_views, schedule_view


async def get_board(deps: Deps, query: BoardQuery) -> OnCallBoard:
    """Return who is on call in each of the newest teams, and escalations."""
    async with autocommit(deps.db) as cur:
        stored, cursor = await schedules.list_schedules(cur, query)
        at = await schedules.select_now(cur)
        found = await _escalations(cur, deps, query.incident_id)
    return OnCallBoard(
        teams=[on_call_view(item, at) for item in stored], more_teams=cursor is not None, escalations=found
    )


async def get_listing(deps: Deps, query: BoardQuery, by: Principal) -> OnCallListing:
    """Return the newest schedules, and escalations."""
    async with autocommit(deps.db) as cur:
        stored, cursor = await schedules.list_schedules(cur, query)
        found = await _escalations(cur, deps, query.incident_id)
        authority = await find_authority(cur, by)
    page = Page[Schedule](items=[schedule_view(item, authority) for item in stored], next_cursor=cursor)
    return OnCallListing(schedules=page, escalations=found)


async def _escalations(cur: Cursor, deps: Deps, incident_ids: Sequence[UUID]) -> list[Escalation]:
    if not incident_ids:
        return []
    return await escalation_views(cur, await escalations.find_escalations(cur, incident_ids), deps.contacts)
