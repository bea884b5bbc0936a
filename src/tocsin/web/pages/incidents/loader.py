"""Load the list of incidents."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

from aiohttp import web

from tocsin.clients.incidents import INCIDENTS
from tocsin.clients.incidents import PEER as INCIDENT_MANAGEMENT
from tocsin.clients.oncall import PEER as ONCALL_SERVICE
from tocsin.contracts.escalations import Escalation
from tocsin.contracts.incidents import IncidentCounts, IncidentStatus, IncidentSummary
from tocsin.contracts.model import Page
from tocsin.kernel import tasks
from tocsin.web.pages.incidents.filter import ME, IncidentFilter, SavedFilter
from tocsin.web.pages.incidents.view import IncidentsData
from tocsin.web.ui.cached import Cached
from tocsin.web.ui.loaders import PAGE_SIZE, escalations_by_incident, known_schedules
from tocsin.web.ui.page_loader import PageLoader


async def load_incidents(
    app: web.Application, chosen: IncidentFilter, *, saved: Sequence[SavedFilter], me: str
) -> IncidentsData:
    """Load the incidents that are *chosen*, who is paged for them next, and how many there are."""
    load = PageLoader(app)
    client, budget = app[INCIDENTS], load.budget
    nameless = chosen.assigned == ME and not me
    async with tasks.task_group() as group:
        response = (
            _no_incidents()
            if nameless
            else client.list(budget=budget, limit=PAGE_SIZE, **chosen.parameters(load.at, me))
        )
        page = group.create_task(load.fetch(INCIDENT_MANAGEMENT, response))
        counts = group.create_task(load.fetch(INCIDENT_MANAGEMENT, client.counts(budget=budget)))
        own = client.counts(assigned_to=me, budget=budget) if me else _no_counts()
        own_counts = group.create_task(load.fetch(INCIDENT_MANAGEMENT, own))
        schedules = group.create_task(known_schedules(app, load))
        escalations = group.create_task(_escalations(app, load, page))
    return IncidentsData(
        at=load.at,
        filter=chosen,
        saved=saved,
        me=me,
        page=page.result(),
        counts=counts.result(),
        own_counts=own_counts.result(),
        escalations=escalations.result(),
        schedules=schedules.result(),
        outages=load.outages(),
    )


async def _no_incidents() -> Page[IncidentSummary]:
    return Page[IncidentSummary](items=[])


async def _no_counts() -> IncidentCounts:
    return IncidentCounts()


async def _escalations(
    app: web.Application, load: PageLoader, listed: asyncio.Task[Page[IncidentSummary] | None]
) -> Cached[dict[UUID, Escalation]]:
    page = await listed
    ids = [item.id for item in page.items if item.status is IncidentStatus.OPEN] if page else []
    if not ids:
        return Cached({}, load.at, fresh=True)
    found = await load.fetch(ONCALL_SERVICE, escalations_by_incident(app, load, ids))
    return Cached(found or {}, load.at, fresh=found is not None)
