"""What each page asks the services, everything at once."""

import asyncio
from collections.abc import Awaitable, Coroutine
from datetime import timedelta
from typing import Any, Final, TypeVar
from uuid import UUID

from aiohttp import web

from tocsin.clients import alerts, incidents, notifications, oncall
from tocsin.contracts.escalations import Escalation
from tocsin.contracts.incidents import Incident, IncidentStatus, IncidentSummary, TimelineEntry
from tocsin.contracts.model import Page
from tocsin.contracts.oncall import OnCall
from tocsin.kernel.errors import NotFoundError, RejectedError
from tocsin.kernel.pagination import MAX_LIMIT
from tocsin.web.rounds import MEMORY, Round
from tocsin.web.settings import Settings
from tocsin.web.views.answer import Answer
from tocsin.web.views.incident import EARLIER, IncidentView, Seen, incident_of
from tocsin.web.views.now import SHOWN, TREND_PERIODS, Now, Strip, now_of
from tocsin.web.views.now import Seen as SeenNow
from tocsin.web.views.review import review_of
from tocsin.web.views.timeline import Look

T = TypeVar("T")
SETTINGS = web.AppKey("SETTINGS", Settings)
TEAMS: Final = 24
"""How many teams the strip shows."""
OPEN_READ: Final = 200
READ: Final = 100
ALERTS_READ: Final = 20
"""Of how many of its newest alerts an incident shows the links."""
RESOLVED_WITHIN: Final = timedelta(days=7)


async def beside_waiting(app: web.Application, page: Awaitable[T]) -> tuple[T, int]:
    """Await what a *page* asks and, at once, how many incidents nobody answered: 0 while that cannot be told."""
    return await asyncio.gather(page, _waiting(app))


async def _waiting(app: web.Application) -> int:
    # A browser that leaves at once ends this before it began: no question may have been made for it by then.
    round_ = Round(app[MEMORY], app[SETTINGS].part_seconds)
    counts = await round_.ask(incidents.PEER, app[incidents.INCIDENTS].counts(budget=round_.budget))
    return counts.open if counts else 0


async def see_now(app: web.Application) -> Now:
    """Ask for all that Now shows. Nothing that is away is an error: the view says so."""
    round_ = Round(app[MEMORY], app[SETTINGS].part_seconds)
    cases, messages, budget = app[incidents.INCIDENTS], app[notifications.NOTIFICATIONS], round_.budget
    first_day = round_.at.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=TREND_PERIODS - 1)
    async with asyncio.TaskGroup() as group:

        def asked(peer: str, question: Coroutine[Any, Any, T]) -> asyncio.Task[T | None]:
            return group.create_task(round_.ask(peer, question))

        def listed(status: IncidentStatus, limit: int, **filters: object) -> asyncio.Task[Page[IncidentSummary] | None]:
            return asked(incidents.PEER, cases.list(budget=budget, status=status.value, limit=limit, **filters))

        ringing = listed(IncidentStatus.OPEN, OPEN_READ)
        acknowledged = listed(IncidentStatus.ACKNOWLEDGED, READ)
        in_progress = listed(IncidentStatus.IN_PROGRESS, READ)
        resolved = listed(IncidentStatus.RESOLVED, READ, since=(round_.at - RESOLVED_WITHIN).isoformat())
        summary = asked(incidents.PEER, cases.summary(budget=budget, since=first_day.isoformat()))
        strip = group.create_task(round_.recall("strip", oncall.PEER, _strip(app, round_)))
        newest = asked(alerts.PEER, app[alerts.ALERTS].list(budget=budget, limit=READ))
        sent = asked(notifications.PEER, messages.list(budget=budget, limit=READ))
        dead = asked(notifications.PEER, messages.list(budget=budget, status="failed", limit=READ))
        paging = group.create_task(_paging(app, round_, ringing))
    seen = SeenNow(
        ringing=ringing.result(),
        acknowledged=acknowledged.result(),
        in_progress=in_progress.result(),
        resolved=resolved.result(),
        escalations=paging.result(),
        strip=strip.result(),
        summary=summary.result(),
        alerts=newest.result(),
        messages=sent.result(),
        dead=dead.result(),
    )
    return now_of(seen, round_.close(), round_.at)


async def _strip(app: web.Application, round_: Round) -> Strip:
    client = app[oncall.ONCALL]
    schedules = await client.schedules(budget=round_.budget, limit=TEAMS)
    current = await asyncio.gather(*(_on_call(client, item.team, round_) for item in schedules.items))
    teams = sorted((team for team in current if team is not None), key=lambda team: team.team.casefold())
    return Strip(teams, more=schedules.next_cursor is not None)


async def _on_call(client: oncall.OnCallClient, team: str, round_: Round) -> OnCall | None:
    try:
        return await client.current(team, budget=round_.budget)
    except RejectedError:  # the team has gone since it was listed
        return None


async def _paging(
    app: web.Application, round_: Round, ringing: asyncio.Task[Page[IncidentSummary] | None]
) -> Answer[dict[UUID, Escalation]]:
    page = await ringing
    if page is None or not page.items:
        return Answer({}, round_.at, fresh=True)
    ids = [incident.id for incident in page.items[:SHOWN]]
    return await round_.recall("escalations", oncall.PEER, _escalations(app[oncall.ONCALL], ids, round_))


async def _escalations(client: oncall.OnCallClient, ids: list[UUID], round_: Round) -> dict[UUID, Escalation]:
    found = await client.escalations(ids, budget=round_.budget)
    return {item.incident_id: item for item in found.items}


async def see_incident(app: web.Application, ref: str, look: Look) -> IncidentView:
    """Ask for one incident, by number or id. Raise NotFoundError; UpstreamError where incident management is away."""
    round_ = Round(app[MEMORY], app[SETTINGS].part_seconds)
    incident = await find_incident(app, ref, round_)
    budget = round_.budget
    earlier = {"service": incident.service, "status": IncidentStatus.RESOLVED, "limit": EARLIER + 1}
    async with asyncio.TaskGroup() as group:
        question = _escalations(app[oncall.ONCALL], [incident.id], round_)
        paging = group.create_task(round_.recall(f"escalation {incident.id}", oncall.PEER, question))
        messages = app[notifications.NOTIFICATIONS].list(budget=budget, incident_id=incident.id, limit=READ)
        sent = group.create_task(round_.ask(notifications.PEER, messages))
        reported = app[alerts.ALERTS].list(budget=budget, incident_id=incident.id, limit=ALERTS_READ)
        linked = group.create_task(round_.ask(alerts.PEER, reported))
        before = app[incidents.INCIDENTS].list(budget=budget, **earlier)
        known = group.create_task(round_.ask(incidents.PEER, before))
        older = group.create_task(_older(app, incident, look, round_))
    seen = Seen(paging.result(), sent.result(), linked.result(), known.result(), older.result())
    return incident_of(incident, seen, look, round_.close(), round_.at)


async def _older(app: web.Application, incident: Incident, look: Look, round_: Round) -> Page[TimelineEntry] | None:
    if not look.before:
        return None
    question = app[incidents.INCIDENTS].timeline(incident.id, cursor=look.before, limit=MAX_LIMIT, budget=round_.budget)
    return await round_.ask(incidents.PEER, question)


async def review_incident(app: web.Application, ref: str) -> str:
    """Return one incident as Markdown. Raise NotFoundError, UpstreamError."""
    return review_of(await find_incident(app, ref, Round(app[MEMORY], app[SETTINGS].part_seconds)))


async def find_incident(app: web.Application, ref: str, round_: Round) -> Incident:
    """Ask for an incident alone. Raise NotFoundError, UpstreamError."""
    try:
        return await app[incidents.INCIDENTS].find(ref, budget=round_.budget)
    except RejectedError as exc:
        raise NotFoundError(str(exc)) from exc
