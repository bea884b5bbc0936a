"""Load the list of incidents."""

import asyncio
from uuid import UUID

from aiohttp import web

from tocsin.clients.incidents import INCIDENTS
from tocsin.clients.incidents import PEER as INCIDENT_MANAGEMENT
from tocsin.clients.oncall import ONCALL
from tocsin.clients.oncall import PEER as ONCALL_SERVICE
from tocsin.contracts.boards import IncidentListing
from tocsin.contracts.escalations import Escalation
from tocsin.contracts.incidents import IncidentCounts, IncidentStatus
from tocsin.contracts.model import Page
from tocsin.contracts.oncall import Schedule
from tocsin.kernel import tasks
from tocsin.kernel.pagination import MAX_LIMIT
from tocsin.web.pages.incidents.filter import ME, IncidentFilter
from tocsin.web.pages.incidents.view import IncidentsData
from tocsin.web.ui import boards
from tocsin.web.ui.cached import Cached
from tocsin.web.ui.loaders import PAGE_SIZE, by_incident, escalations_by_incident
from tocsin.web.ui.page_loader import PageLoader


async def load_incidents(app: web.Application, chosen: IncidentFilter, *, me: str) -> IncidentsData:
    """Load the incidents that are *chosen*, who is paged for them next, and how many there are."""
    load = PageLoader(app)
    async with tasks.task_group() as group:
        response = _listing(app, load, chosen, me)
        listing = group.create_task(load.fetch(INCIDENT_MANAGEMENT, response))
        on_call = group.create_task(_on_call(app, load, listing))
    found = listing.result()
    schedules, escalations = on_call.result()
    return IncidentsData(
        at=load.at,
        filter=chosen,
        saved=(),
        me=me,
        page=found.page if found else None,
        counts=found.counts if found else None,
        own_counts=found.own_counts if found else None,
        escalations=escalations,
        schedules=schedules,
        outages=load.outages(),
    )


async def _listing(app: web.Application, load: PageLoader, chosen: IncidentFilter, me: str) -> IncidentListing:
    if chosen.assigned == ME and not me:
        counts = await app[INCIDENTS].counts(budget=load.budget)
        return IncidentListing(page=Page(items=[]), counts=counts, own_counts=IncidentCounts())
    filters = chosen.parameters(load.at, me)
    return await boards.incident_listing(app[INCIDENTS], me=me, budget=load.budget, limit=PAGE_SIZE, **filters)


async def _on_call(
    app: web.Application, load: PageLoader, listed: asyncio.Task[IncidentListing | None]
) -> tuple[Cached[Page[Schedule]], Cached[dict[UUID, Escalation]]]:
    client, budget = app[ONCALL], load.budget
    if await load.is_soon_done(listed):
        ids = _open(listed.result())
        listing = await load.fetch(ONCALL_SERVICE, boards.oncall_listing(client, ids, limit=MAX_LIMIT, budget=budget))
        found = by_incident(listing.escalations) if listing else None
    else:  # a slow service does not delay what the other one shows
        listing = await load.fetch(ONCALL_SERVICE, boards.oncall_listing(client, [], limit=MAX_LIMIT, budget=budget))
        ids = _open(await listed)
        found = await load.fetch(ONCALL_SERVICE, escalations_by_incident(app, load, ids)) if ids else {}
    schedules = load.remember("schedules", listing.schedules if listing else None)
    return schedules, Cached(found or {}, load.at, fresh=found is not None or not ids)


def _open(listing: IncidentListing | None) -> list[UUID]:
    return [item.id for item in listing.page.items if item.status is IncidentStatus.OPEN] if listing else []
