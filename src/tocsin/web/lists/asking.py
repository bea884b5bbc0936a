"""What the list pages ask the services."""

import asyncio
from typing import Final
from uuid import UUID

from aiohttp import web

from tocsin.clients import incidents, oncall
from tocsin.contracts.escalations import Escalation
from tocsin.contracts.incidents import IncidentCounts, IncidentStatus, IncidentSummary
from tocsin.contracts.model import Page
from tocsin.contracts.oncall import Schedule
from tocsin.kernel.pagination import MAX_LIMIT
from tocsin.web import service
from tocsin.web.lists.filters import ME, IncidentFilter
from tocsin.web.rounds import MEMORY, Round
from tocsin.web.views.answer import Answer
from tocsin.web.views.incident_list import Seen

SHOWN: Final = 50


def new_round(app: web.Application) -> Round:
    """Begin one page's questions."""
    return Round(app[MEMORY], app[service.SETTINGS].part_seconds)


async def schedules_known(app: web.Application, round_: Round) -> Answer[Page[Schedule]]:
    """Ask for the teams, their people and their services; what was known last while on-call is away."""
    question = app[oncall.ONCALL].schedules(budget=round_.budget, limit=MAX_LIMIT)
    return await round_.recall("schedules", oncall.PEER, question)


async def incidents_seen(app: web.Application, round_: Round, chosen: IncidentFilter, me: str) -> Seen:
    """Ask for the incidents that are *chosen*, for who is paged for them next, and for how many there are."""
    client, budget = app[incidents.INCIDENTS], round_.budget
    asked = chosen.asked(round_.at, me)
    nameless = chosen.assigned == ME and not me
    async with asyncio.TaskGroup() as group:
        question = _nothing() if nameless else client.list(budget=budget, limit=SHOWN, **asked)
        page = group.create_task(round_.ask(incidents.PEER, question))
        counts = group.create_task(round_.ask(incidents.PEER, client.counts(budget=budget)))
        my_question = client.counts(assigned_to=me, budget=budget) if me else _nobody()
        mine = group.create_task(round_.ask(incidents.PEER, my_question))
        schedules = group.create_task(schedules_known(app, round_))
        escalations = group.create_task(_escalations(app, round_, page))
    return Seen(page.result(), counts.result(), mine.result(), escalations.result(), schedules.result())


async def _nothing() -> Page[IncidentSummary]:
    return Page[IncidentSummary](items=[])


async def _nobody() -> IncidentCounts:
    return IncidentCounts()


async def _escalations(
    app: web.Application, round_: Round, listed: asyncio.Task[Page[IncidentSummary] | None]
) -> Answer[dict[UUID, Escalation]]:
    page = await listed
    ids = [item.id for item in page.items if item.status is IncidentStatus.OPEN] if page else []
    if not ids:
        return Answer({}, round_.at, fresh=True)
    found = await round_.ask(oncall.PEER, app[oncall.ONCALL].escalations(ids, budget=round_.budget))
    known = {item.incident_id: item for item in found.items} if found else {}
    return Answer(known, round_.at, fresh=found is not None)
