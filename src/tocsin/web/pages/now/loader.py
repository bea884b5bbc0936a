"""Load Now: one request to each service."""

import asyncio
from datetime import timedelta
from typing import Final
from uuid import UUID

from aiohttp import web

from tocsin.clients import alerts, incidents, notifications, oncall
from tocsin.contracts.boards import IncidentBoard, OnCallBoard
from tocsin.contracts.escalations import Escalation
from tocsin.kernel import tasks
from tocsin.web.pages.now.view import SHOWN, TREND_PERIODS, NowData, Strip
from tocsin.web.ui import boards
from tocsin.web.ui.cached import Cached
from tocsin.web.ui.loaders import by_incident, escalations_by_incident
from tocsin.web.ui.page_loader import PageLoader

TEAMS: Final = 24
"""Teams in the on-call strip."""
OPEN_LIMIT: Final = 200
LIMIT: Final = 100
RESOLVED_WITHIN: Final = timedelta(days=7)


async def load_now(app: web.Application) -> NowData:
    """Load all that Now shows; an unavailable service is part of the result."""
    load = PageLoader(app)
    first_day = load.at.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=TREND_PERIODS - 1)
    response = boards.incident_board(
        app[incidents.INCIDENTS],
        budget=load.budget,
        open_limit=OPEN_LIMIT,
        limit=LIMIT,
        resolved_since=(load.at - RESOLVED_WITHIN).isoformat(),
        days_since=first_day.isoformat(),
    )
    async with tasks.task_group() as group:
        board = group.create_task(load.fetch(incidents.PEER, response))
        newest = group.create_task(load.fetch(alerts.PEER, app[alerts.ALERTS].list(budget=load.budget, limit=LIMIT)))
        sent = boards.message_board(app[notifications.NOTIFICATIONS], limit=LIMIT, budget=load.budget)
        messages = group.create_task(load.fetch(notifications.PEER, sent))
        on_call = group.create_task(_on_call(app, load, board))
    strip, escalations = on_call.result()
    return NowData(
        at=load.at,
        board=board.result(),
        escalations=escalations,
        strip=strip,
        alerts=newest.result(),
        messages=messages.result(),
        outages=load.outages(),
    )


async def _on_call(
    app: web.Application, load: PageLoader, listed: asyncio.Task[IncidentBoard | None]
) -> tuple[Cached[Strip], Cached[dict[UUID, Escalation]]]:
    client, budget = app[oncall.ONCALL], load.budget
    if await load.is_soon_done(listed):
        ids = _shown(listed.result())
        board = await load.fetch(oncall.PEER, boards.oncall_board(client, ids, limit=TEAMS, budget=budget))
        found = by_incident(board.escalations) if board else None
    else:  # a slow service does not delay what the other one shows
        board = await load.fetch(oncall.PEER, boards.oncall_board(client, [], limit=TEAMS, budget=budget))
        ids = _shown(await listed)
        found = await load.fetch(oncall.PEER, escalations_by_incident(app, load, ids)) if ids else {}
    strip = load.remember("strip", _strip(board) if board else None)
    return strip, load.remember("escalations", found) if ids else Cached({}, load.at, fresh=True)


def _shown(board: IncidentBoard | None) -> list[UUID]:
    return [incident.id for incident in board.open.items[:SHOWN]] if board else []


def _strip(board: OnCallBoard) -> Strip:
    return Strip(sorted(board.teams, key=lambda team: team.team.casefold()), more=board.more_teams)
