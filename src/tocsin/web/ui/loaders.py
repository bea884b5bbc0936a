"""What several pages load."""

from collections.abc import Awaitable, Iterable
from typing import Final, TypeVar
from uuid import UUID

from aiohttp import web

from tocsin.clients.incidents import INCIDENTS
from tocsin.clients.incidents import PEER as INCIDENT_MANAGEMENT
from tocsin.clients.oncall import ONCALL
from tocsin.clients.oncall import PEER as ONCALL_SERVICE
from tocsin.contracts.escalations import Escalation
from tocsin.contracts.incidents import Incident, IncidentSummary
from tocsin.contracts.model import Page
from tocsin.contracts.oncall import Schedule
from tocsin.kernel import tasks
from tocsin.kernel.errors import NotFoundError, RejectedError
from tocsin.kernel.pagination import MAX_LIMIT
from tocsin.web.ui.cached import Cached
from tocsin.web.ui.page_loader import PageLoader

T = TypeVar("T")
PAGE_SIZE: Final = 50
"""Rows that a list page shows."""


async def with_open_count(app: web.Application, page: Awaitable[T]) -> tuple[T, int]:
    """Await *page* and, concurrently, the number of unacknowledged incidents: 0 while it is not known."""
    return await tasks.gather(page, _open_count(app))


async def _open_count(app: web.Application) -> int:
    # Not an argument: the coroutine would never be awaited if the browser disconnects before this task starts.
    load = PageLoader(app)
    counts = await load.fetch(INCIDENT_MANAGEMENT, app[INCIDENTS].counts(budget=load.budget))
    return counts.open if counts else 0


async def find_incident(app: web.Application, ref: str, load: PageLoader) -> Incident:
    """Return an incident by number or id. Raise NotFoundError, UpstreamError."""
    try:
        return await app[INCIDENTS].find(ref, budget=load.budget)
    except RejectedError as exc:
        raise NotFoundError(str(exc)) from exc


async def incidents_by_id(app: web.Application, load: PageLoader, ids: Iterable[UUID]) -> dict[UUID, IncidentSummary]:
    """Return the incidents with these ids; those that cannot be loaded are missing."""
    wanted = sorted(ids)
    if not wanted:
        return {}
    response = app[INCIDENTS].list(budget=load.budget, id=wanted, limit=len(wanted))
    page = await load.fetch(INCIDENT_MANAGEMENT, response)
    return {item.id: item for item in page.items} if page else {}


async def known_schedules(app: web.Application, load: PageLoader) -> Cached[Page[Schedule]]:
    """Return the teams with their people and services; the cached ones while the on-call service is unavailable."""
    response = app[ONCALL].schedules(budget=load.budget, limit=MAX_LIMIT)
    return await load.fetch_cached("schedules", ONCALL_SERVICE, response)


async def escalations_by_incident(app: web.Application, load: PageLoader, ids: list[UUID]) -> dict[UUID, Escalation]:
    """Return the escalations of these incidents. Raise UpstreamError."""
    found = await app[ONCALL].escalations(ids, budget=load.budget)
    return by_incident(found.items)


def by_incident(escalations: Iterable[Escalation]) -> dict[UUID, Escalation]:
    """Return *escalations* by the incident's id."""
    return {item.incident_id: item for item in escalations}
