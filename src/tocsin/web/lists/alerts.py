"""Alerts: what came in and what became of it; one with its raw request."""

import asyncio
from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from aiohttp import web

from tocsin.clients import alerts, incidents
from tocsin.contracts.alerts import AlertDetail
from tocsin.contracts.incidents import IncidentSummary
from tocsin.kernel.errors import NotFoundError, RejectedError
from tocsin.kernel.requests import path_uuid
from tocsin.web import templating
from tocsin.web.lists.asking import SHOWN, new_round
from tocsin.web.lists.filters import AlertFilter
from tocsin.web.rounds import Round
from tocsin.web.service import beside_waiting
from tocsin.web.views.alert_list import Seen, alert_of, list_of

BLOCKS: Final = ("notices", "head", "chips", "results")


async def get_alerts(request: web.Request) -> web.Response:
    """Show the alerts that the address asks for."""
    chosen = AlertFilter.read(request.query)
    round_ = new_round(request.app)
    seen, waiting = await beside_waiting(request.app, _seen(request.app, round_, chosen))
    view = list_of(seen, chosen, round_.close(), round_.at)
    context: dict[str, Any] = {"view": view, "waiting": waiting, "path": AlertFilter.path, "here": chosen.address}
    return templating.render(request, "alerts.html", blocks=BLOCKS, context=context)


async def _seen(app: web.Application, round_: Round, chosen: AlertFilter) -> Seen:
    client, budget = app[alerts.ALERTS], round_.budget
    async with asyncio.TaskGroup() as group:
        question = client.list(budget=budget, limit=SHOWN, **chosen.asked(round_.at))
        page = group.create_task(round_.ask(alerts.PEER, question))
        window = client.summary(budget=budget, since=chosen.begin(round_.at).isoformat())
        summary = group.create_task(round_.ask(alerts.PEER, window))
    listed = page.result()
    ids = {item.incident_id for item in listed.items if item.incident_id} if listed else set()
    found = await incidents_by_id(app, round_, ids | ({chosen.incident} if chosen.incident else set()))
    return Seen(listed, summary.result(), found)


async def incidents_by_id(app: web.Application, round_: Round, ids: Iterable[UUID]) -> dict[UUID, IncidentSummary]:
    """Return the incidents of these ids; those that cannot be told now are missing."""
    wanted = sorted(ids)
    if not wanted:
        return {}
    question = app[incidents.INCIDENTS].list(budget=round_.budget, id=wanted, limit=len(wanted))
    page = await round_.ask(incidents.PEER, question)
    return {item.id: item for item in page.items} if page else {}


async def get_alert(request: web.Request) -> web.Response:
    """Show one alert with the request that brought its newest report."""
    alert_id = path_uuid(request, "alert_id")
    round_ = new_round(request.app)
    alert, waiting = await beside_waiting(request.app, _alert(request.app, alert_id, round_))
    found = await incidents_by_id(request.app, round_, [alert.incident_id] if alert.incident_id else [])
    view = alert_of(alert, found, round_.close(), round_.at)
    context: dict[str, Any] = {"view": view, "waiting": waiting, "path": f"/alerts/{alert.id}"}
    return templating.render(request, "alert.html", blocks=("notices", "alert"), context=context)


async def _alert(app: web.Application, alert_id: UUID, round_: Round) -> AlertDetail:
    try:
        return await app[alerts.ALERTS].find(alert_id, budget=round_.budget)
    except RejectedError as exc:
        raise NotFoundError(str(exc)) from exc
