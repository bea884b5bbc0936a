"""Load the list of alerts."""

from aiohttp import web

from tocsin.clients.alerts import ALERTS
from tocsin.clients.alerts import PEER as ALERT_INGESTION
from tocsin.kernel import tasks
from tocsin.web.pages.alerts.filter import AlertFilter
from tocsin.web.pages.alerts.view import AlertsData
from tocsin.web.ui.loaders import PAGE_SIZE, incidents_by_id
from tocsin.web.ui.page_loader import PageLoader


async def load_alerts(app: web.Application, chosen: AlertFilter) -> AlertsData:
    """Load the alerts that are *chosen*, and their incidents."""
    load = PageLoader(app)
    client, budget = app[ALERTS], load.budget
    async with tasks.task_group() as group:
        response = client.list(budget=budget, limit=PAGE_SIZE, **chosen.parameters(load.at))
        page = group.create_task(load.fetch(ALERT_INGESTION, response))
        window = client.summary(budget=budget, since=chosen.begin(load.at).isoformat())
        summary = group.create_task(load.fetch(ALERT_INGESTION, window))
    listed = page.result()
    ids = {item.incident_id for item in listed.items if item.incident_id} if listed else set()
    incidents = await incidents_by_id(app, load, ids | ({chosen.incident} if chosen.incident else set()))
    return AlertsData(load.at, chosen, listed, summary.result(), incidents, load.outages())
