"""Load one alert."""

from uuid import UUID

from aiohttp import web

from tocsin.clients.alerts import ALERTS
from tocsin.kernel.errors import NotFoundError, RejectedError
from tocsin.web.pages.alert.view import AlertData
from tocsin.web.ui.loaders import incidents_by_id
from tocsin.web.ui.page_loader import PageLoader


async def load_alert(app: web.Application, alert_id: UUID) -> AlertData:
    """Load one alert and its incident. Raise NotFoundError; UpstreamError if alert ingestion is unavailable."""
    load = PageLoader(app)
    try:
        alert = await app[ALERTS].find(alert_id, budget=load.budget)
    except RejectedError as exc:
        raise NotFoundError(str(exc)) from exc
    incidents = await incidents_by_id(app, load, [alert.incident_id] if alert.incident_id else [])
    return AlertData(load.at, alert, incidents, load.outages())
