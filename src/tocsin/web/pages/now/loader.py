"""Load Now: every service at once."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import Final, TypeVar
from uuid import UUID

from aiohttp import web

from tocsin.clients import alerts, incidents, notifications, oncall
from tocsin.contracts.escalations import Escalation
from tocsin.contracts.incidents import IncidentStatus, IncidentSummary
from tocsin.contracts.model import Page
from tocsin.contracts.oncall import OnCall
from tocsin.kernel import tasks
from tocsin.kernel.errors import RejectedError
from tocsin.web.pages.now.view import SHOWN, TREND_PERIODS, NowData, Strip
from tocsin.web.ui.cached import Cached
from tocsin.web.ui.loaders import escalations_by_incident
from tocsin.web.ui.page_loader import PageLoader

T = TypeVar("T")
TEAMS: Final = 24
"""Teams in the on-call strip."""
OPEN_LIMIT: Final = 200
LIMIT: Final = 100
RESOLVED_WITHIN: Final = timedelta(days=7)


async def load_now(app: web.Application) -> NowData:
    """Load all that Now shows; an unavailable service is part of the result."""
    load = PageLoader(app)
    incident_client, messages, budget = app[incidents.INCIDENTS], app[notifications.NOTIFICATIONS], load.budget
    first_day = load.at.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=TREND_PERIODS - 1)
    async with tasks.task_group() as group:

        def fetch(peer: str, response: Awaitable[T]) -> asyncio.Task[T | None]:
            return group.create_task(load.fetch(peer, response))

        def listed(status: IncidentStatus, limit: int, **filters: object) -> asyncio.Task[Page[IncidentSummary] | None]:
            return fetch(
                incidents.PEER, incident_client.list(budget=budget, status=status.value, limit=limit, **filters)
            )

        unacknowledged = listed(IncidentStatus.OPEN, OPEN_LIMIT)
        acknowledged = listed(IncidentStatus.ACKNOWLEDGED, LIMIT)
        in_progress = listed(IncidentStatus.IN_PROGRESS, LIMIT)
        resolved = listed(IncidentStatus.RESOLVED, LIMIT, resolved_since=(load.at - RESOLVED_WITHIN).isoformat())
        summary = fetch(incidents.PEER, incident_client.summary(budget=budget, since=first_day.isoformat()))
        strip = group.create_task(load.fetch_cached("strip", oncall.PEER, _strip(app, load)))
        newest = fetch(alerts.PEER, app[alerts.ALERTS].list(budget=budget, limit=LIMIT))
        sent = fetch(notifications.PEER, messages.list(budget=budget, limit=LIMIT))
        failed = fetch(notifications.PEER, messages.list(budget=budget, status="failed", limit=LIMIT))
        escalations = group.create_task(_escalations(app, load, unacknowledged))
    return NowData(
        at=load.at,
        unacknowledged=unacknowledged.result(),
        acknowledged=acknowledged.result(),
        in_progress=in_progress.result(),
        resolved=resolved.result(),
        escalations=escalations.result(),
        strip=strip.result(),
        summary=summary.result(),
        alerts=newest.result(),
        messages=sent.result(),
        failed=failed.result(),
        outages=load.outages(),
    )


async def _strip(app: web.Application, load: PageLoader) -> Strip:
    client = app[oncall.ONCALL]
    schedules = await client.schedules(budget=load.budget, limit=TEAMS)
    current = await tasks.gather(*(_on_call(client, item.team, load) for item in schedules.items))
    teams = sorted((team for team in current if team is not None), key=lambda team: team.team.casefold())
    return Strip(teams, more=schedules.next_cursor is not None)


async def _on_call(client: oncall.OnCallClient, team: str, load: PageLoader) -> OnCall | None:
    try:
        return await client.current(team, budget=load.budget)
    except RejectedError:  # the team was deleted since it was listed
        return None


async def _escalations(
    app: web.Application, load: PageLoader, unacknowledged: asyncio.Task[Page[IncidentSummary] | None]
) -> Cached[dict[UUID, Escalation]]:
    page = await unacknowledged
    if page is None or not page.items:
        return Cached({}, load.at, fresh=True)
    ids = [incident.id for incident in page.items[:SHOWN]]
    return await load.fetch_cached("escalations", oncall.PEER, escalations_by_incident(app, load, ids))
