"""The routes of alert-ingestion."""

from tocsin.alerts import handlers
from tocsin.integrations import INTEGRATIONS
from tocsin.kernel.principal import Scope
from tocsin.kernel.routing import Route, get, post

ROUTES = [
    get("/api/v1/alerts", handlers.list_alerts, scope=Scope.READ),
    get("/api/v1/alerts/summary", handlers.get_summary, scope=Scope.READ),
    get("/api/v1/alerts/{alert_id}", handlers.get_alert, scope=Scope.READ),
]


def integration_routes() -> list[Route]:
    """Return the route of each registered integration."""
    return [
        post(integration.path, handlers.receive_from(integration), scope=Scope.SEND)
        for integration in INTEGRATIONS.values()
    ]
