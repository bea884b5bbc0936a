"""Load what the form suggests."""

from aiohttp import web

from tocsin.web.pages.new_incident.view import NewIncidentData
from tocsin.web.ui.loaders import known_schedules
from tocsin.web.ui.page_loader import PageLoader


async def load_new_incident(app: web.Application) -> NewIncidentData:
    """Load the services that the teams own."""
    load = PageLoader(app)
    schedules = await known_schedules(app, load)
    return NewIncidentData(load.at, schedules, load.outages())
