"""Load the list of messages."""

import re
from typing import Final

from aiohttp import web

from tocsin.clients import incidents, notifications
from tocsin.contracts.model import Page
from tocsin.contracts.notifications import Notification
from tocsin.kernel import tasks
from tocsin.web.pages.delivery.filter import MessageFilter
from tocsin.web.pages.delivery.view import DeliveryData
from tocsin.web.ui.loaders import PAGE_SIZE, incidents_by_id, known_schedules
from tocsin.web.ui.page_loader import PageLoader

NUMBER: Final = re.compile(r"#?([1-9][0-9]{0,17})")


async def load_delivery(app: web.Application, chosen: MessageFilter) -> DeliveryData:
    """Load the messages that are *chosen*, their incidents, and the channels' figures."""
    load = PageLoader(app)
    client, budget = app[notifications.NOTIFICATIONS], load.budget
    async with tasks.task_group() as group:
        page = group.create_task(_page(app, load, chosen))
        summary = group.create_task(load.fetch(notifications.PEER, client.summary(budget=budget)))
        schedules = group.create_task(known_schedules(app, load))
    listed = page.result()
    found = await incidents_by_id(app, load, {item.incident_id for item in listed.items} if listed else ())
    return DeliveryData(load.at, chosen, listed, summary.result(), found, schedules.result(), load.outages())


async def _page(app: web.Application, load: PageLoader, chosen: MessageFilter) -> Page[Notification] | None:
    """Return the messages; a search for a number finds those of the incident with that number."""
    parameters = chosen.parameters()
    number = NUMBER.fullmatch(chosen.q)
    if number is not None:
        response = app[incidents.INCIDENTS].find(number[1], budget=load.budget)
        incident = await load.fetch(incidents.PEER, response)
        if incident is None:
            return Page[Notification](items=[])
        parameters |= {"person": None, "incident_id": incident.id}
    messages = app[notifications.NOTIFICATIONS].list(budget=load.budget, limit=PAGE_SIZE, **parameters)
    return await load.fetch(notifications.PEER, messages)
