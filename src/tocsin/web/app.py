"""The web service, wired."""

from aiohttp import web

from tocsin.clients.alerts import ALERTS, AlertsClient
from tocsin.clients.incidents import INCIDENTS, IncidentsClient
from tocsin.clients.notifications import NOTIFICATIONS, NotificationsClient
from tocsin.clients.oncall import ONCALL, OnCallClient
from tocsin.kernel.app import base_app, with_neighbours
from tocsin.kernel.http_client import CLIENT_METRICS
from tocsin.web import defences, templating
from tocsin.web.errors import error_page_middleware
from tocsin.web.gateway import GATEWAY, Gateway
from tocsin.web.metrics_overview import metrics_for_people_middleware
from tocsin.web.rounds import MEMORY, Memory
from tocsin.web.routes import ROUTES
from tocsin.web.service import SETTINGS
from tocsin.web.settings import Settings


def create_app(settings: Settings) -> web.Application:
    """Wire the service; nothing connects until the application starts."""
    app = base_app(settings, service="web-ui", middlewares=(error_page_middleware,))
    # Innermost, so that what it refuses becomes a problem document, and that a page.
    app.middlewares.extend([defences.host_middleware, metrics_for_people_middleware])
    app.on_response_prepare.append(defences.add_headers)
    app[SETTINGS] = settings
    app[defences.ALLOWED_HOSTS] = defences.AllowedHosts(settings)
    app[MEMORY] = Memory()
    app[GATEWAY] = Gateway(settings)
    app[ALERTS] = AlertsClient(settings.alert_ingestion_url, app[CLIENT_METRICS])
    app[INCIDENTS] = IncidentsClient(settings.incident_management_url, app[CLIENT_METRICS])
    app[ONCALL] = OnCallClient(settings.oncall_service_url, app[CLIENT_METRICS])
    app[NOTIFICATIONS] = NotificationsClient(settings.notification_service_url, app[CLIENT_METRICS])
    app.add_routes(ROUTES)
    templating.set_up(app)
    with_neighbours(app, app[ALERTS], app[INCIDENTS], app[ONCALL], app[NOTIFICATIONS])
    app.cleanup_ctx.append(app[GATEWAY].context)
    app.on_shutdown.append(app[GATEWAY].end_streams)
    return app
