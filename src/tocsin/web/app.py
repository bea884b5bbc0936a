"""The web service, wired."""

from aiohttp import web

from tocsin.clients.alerts import ALERTS, AlertsClient
from tocsin.clients.incidents import INCIDENTS, IncidentsClient
from tocsin.clients.notifications import NOTIFICATIONS, NotificationsClient
from tocsin.clients.oncall import ONCALL, OnCallClient
from tocsin.contracts.services import WEB_UI
from tocsin.kernel.app import base_app, with_clients
from tocsin.kernel.client_metrics import CLIENT_METRICS
from tocsin.kernel.event_streams import STREAM_LIMIT, StreamLimit
from tocsin.web.api_description import API_DESCRIPTION, ApiDescription, get_openapi
from tocsin.web.gateway import GATEWAY, Gateway
from tocsin.web.pages.analytics.handlers import metrics_redirect_middleware
from tocsin.web.pages.incidents.handlers import SHARED_INCIDENTS
from tocsin.web.pages.now.handlers import SHARED_NOW
from tocsin.web.routes import ROUTES, integration_routes
from tocsin.web.settings import SETTINGS, Settings
from tocsin.web.ui import security_headers, templating
from tocsin.web.ui.error_page import error_page_middleware
from tocsin.web.ui.page_loader import CACHE, Cache
from tocsin.web.ui.shared_work import SharedWork


def create_app(settings: Settings) -> web.Application:
    """Wire the service; nothing connects until the application starts."""
    app = base_app(settings, service=WEB_UI, middlewares=(error_page_middleware,), get_openapi=get_openapi)
    # Innermost, so that a rejected request becomes a problem document, and the document a page.
    app.middlewares.append(metrics_redirect_middleware)
    app.on_response_prepare.append(security_headers.add_headers)
    app[SETTINGS] = settings
    app[CACHE] = Cache()
    app[SHARED_NOW] = SharedWork()
    app[SHARED_INCIDENTS] = SharedWork()
    app[GATEWAY] = Gateway(settings)
    app[STREAM_LIMIT] = StreamLimit(settings.max_streams)
    app[API_DESCRIPTION] = ApiDescription()
    app[ALERTS] = AlertsClient(settings.alert_ingestion_url, app[CLIENT_METRICS])
    app[INCIDENTS] = IncidentsClient(settings.incident_management_url, app[CLIENT_METRICS])
    app[ONCALL] = OnCallClient(settings.oncall_service_url, app[CLIENT_METRICS])
    app[NOTIFICATIONS] = NotificationsClient(settings.notification_service_url, app[CLIENT_METRICS])
    app.add_routes([*ROUTES, *integration_routes()])
    templating.set_up(app)
    with_clients(app, app[ALERTS], app[INCIDENTS], app[ONCALL], app[NOTIFICATIONS])
    app.cleanup_ctx.extend([app[GATEWAY].context, app[SHARED_NOW].context, app[SHARED_INCIDENTS].context])
    app.on_shutdown.append(app[GATEWAY].end_streams)
    return app
