"""Load one incident with its pages, messages and alerts."""

from typing import Final

from aiohttp import web

from tocsin.clients import alerts, incidents, notifications, oncall
from tocsin.contracts.boards import IncidentView
from tocsin.contracts.incidents import Incident, TimelineEntry
from tocsin.contracts.model import Page
from tocsin.kernel import tasks
from tocsin.kernel.errors import NotFoundError, RejectedError
from tocsin.kernel.pagination import MAX_LIMIT
from tocsin.web.pages.incident.timeline import TimelineFilter
from tocsin.web.pages.incident.view import EARLIER, IncidentData
from tocsin.web.ui.boards import incident_view
from tocsin.web.ui.loaders import escalations_by_incident
from tocsin.web.ui.page_loader import PageLoader

MESSAGES: Final = 100
ALERTS: Final = 20
"""The newest alerts, whose links are shown."""


async def load_incident(app: web.Application, ref: str, chosen: TimelineFilter) -> IncidentData:
    """Load an incident by number or id.

    Raise NotFoundError; UpstreamError if incident management is unavailable.
    """
    load = PageLoader(app)
    found = await _find(app, ref, load)
    incident, budget = found.incident, load.budget
    async with tasks.task_group() as group:
        escalations = escalations_by_incident(app, load, [incident.id])
        paging = group.create_task(load.fetch_cached(f"escalation {incident.id}", oncall.PEER, escalations))
        messages = app[notifications.NOTIFICATIONS].list(budget=budget, incident_id=incident.id, limit=MESSAGES)
        sent = group.create_task(load.fetch(notifications.PEER, messages))
        reported = app[alerts.ALERTS].list(budget=budget, incident_id=incident.id, limit=ALERTS)
        linked = group.create_task(load.fetch(alerts.PEER, reported))
        timeline = group.create_task(_older_entries(app, incident, chosen, load))
    return IncidentData(
        at=load.at,
        incident=incident,
        timeline_filter=chosen,
        escalation=paging.result(),
        messages=sent.result(),
        alerts=linked.result(),
        earlier=found.resolved,
        open_count=found.counts.open,
        older_entries=timeline.result(),
        outages=load.outages(),
    )


async def _find(app: web.Application, ref: str, load: PageLoader) -> IncidentView:
    """Return an incident by number or id. Raise NotFoundError, UpstreamError."""
    try:
        return await incident_view(app[incidents.INCIDENTS], ref, resolved=EARLIER + 1, budget=load.budget)
    except RejectedError as exc:
        raise NotFoundError(str(exc)) from exc


async def _older_entries(
    app: web.Application, incident: Incident, chosen: TimelineFilter, load: PageLoader
) -> Page[TimelineEntry] | None:
    if not chosen.before:
        return None
    client = app[incidents.INCIDENTS]
    response = client.timeline(incident.id, cursor=chosen.before, limit=MAX_LIMIT, budget=load.budget)
    return await load.fetch(incidents.PEER, response)
