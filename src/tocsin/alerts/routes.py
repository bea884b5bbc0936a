"""Every address of alert-ingestion."""

from aiohttp import web

from tocsin.alerts import handlers
from tocsin.integrations import INTEGRATIONS

ROUTES = [
    web.get("/api/v1/alerts", handlers.list_alerts),
    web.get("/api/v1/alerts/summary", handlers.get_summary),
    web.get("/api/v1/alerts/{alert_id}", handlers.get_alert),
]


def integration_routes() -> list[web.RouteDef]:
    """Return the route of each registered integration."""
    return [web.post(integration.path, handlers.receive_from(integration)) for integration in INTEGRATIONS.values()]
