"""Delivery: each message with its attempts, and what failed sent again."""

import asyncio
import re
from typing import Any, Final

from aiohttp import web

from tocsin.clients import incidents, notifications
from tocsin.clients.notifications import NOTIFICATIONS
from tocsin.contracts.model import Page
from tocsin.contracts.notifications import Notification
from tocsin.kernel.errors import NotFoundError, RejectedError
from tocsin.kernel.requests import path_uuid
from tocsin.web import forms, templating
from tocsin.web.lists.alerts import incidents_by_id
from tocsin.web.lists.asking import SHOWN, new_round, schedules_known
from tocsin.web.lists.filters import MessageFilter
from tocsin.web.rounds import Round
from tocsin.web.service import beside_waiting
from tocsin.web.views.message_list import Seen, list_of
from tocsin.web.views.standing import Refusal

BLOCKS: Final = ("notices", "head", "channels", "results")
NUMBER: Final = re.compile(r"#?([1-9][0-9]{0,17})")
NOT_FOUND: Final = 404


async def get_messages(request: web.Request) -> web.Response:
    """Show the messages that the address asks for."""
    return await _show(request, MessageFilter.read(request.query))


async def _show(
    request: web.Request, chosen: MessageFilter, *, refused: Refusal | None = None, status: int = 200
) -> web.Response:
    round_ = new_round(request.app)
    seen, waiting = await beside_waiting(request.app, _seen(request.app, round_, chosen))
    context: dict[str, Any] = {
        "view": list_of(seen, chosen, round_.close(), round_.at),
        "waiting": waiting,
        "refused": refused,
        "key": forms.new_key(),
        "path": MessageFilter.path,
        "here": chosen.address,
    }
    return templating.render(request, "notifications.html", blocks=BLOCKS, context=context, status=status)


async def _seen(app: web.Application, round_: Round, chosen: MessageFilter) -> Seen:
    client, budget = app[NOTIFICATIONS], round_.budget
    async with asyncio.TaskGroup() as group:
        page = group.create_task(_page(app, round_, chosen))
        summary = group.create_task(round_.ask(notifications.PEER, client.summary(budget=budget)))
        schedules = group.create_task(schedules_known(app, round_))
    listed = page.result()
    found = await incidents_by_id(app, round_, {item.incident_id for item in listed.items} if listed else ())
    return Seen(listed, summary.result(), found, schedules.result())


async def _page(app: web.Application, round_: Round, chosen: MessageFilter) -> Page[Notification] | None:
    """Ask for the messages; a number that is searched for stands for its incident."""
    asked = chosen.asked()
    number = NUMBER.fullmatch(chosen.q)
    if number is not None:
        question = app[incidents.INCIDENTS].find(number[1], budget=round_.budget)
        incident = await round_.ask(incidents.PEER, question)
        if incident is None:
            return Page[Notification](items=[])
        asked |= {"person": None, "incident_id": incident.id}
    question_of_page = app[NOTIFICATIONS].list(budget=round_.budget, limit=SHOWN, **asked)
    return await round_.ask(notifications.PEER, question_of_page)


async def post_redeliver(request: web.Request) -> web.StreamResponse:
    """Send a message again that was given up; answer with the list that the button stood in."""
    notification_id = path_uuid(request, "notification_id")
    form = await forms.read_form(request)
    key = forms.idempotency_key(form, "redeliver", str(notification_id))
    try:
        await request.app[NOTIFICATIONS].redeliver(notification_id, idempotency_key=key)
    except RejectedError as exc:
        if exc.status == NOT_FOUND:
            raise NotFoundError(str(exc)) from exc
        refused = Refusal("It was not sent again", str(exc))
        return await _show(request, MessageFilter.of_address(form.get("back", "")), refused=refused, status=exc.status)
    return forms.see_other(MessageFilter.of_address(form.get("back", "")).address)
