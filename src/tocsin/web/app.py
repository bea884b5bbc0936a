"""The web service, wired."""

from urllib.parse import urlsplit

from aiohttp import web

from tocsin.clients.alerts import ALERTS, AlertsClient
from tocsin.clients.incidents import INCIDENTS, IncidentsClient
from tocsin.clients.notifications import NOTIFICATIONS, NotificationsClient
from tocsin.clients.oncall import ONCALL, OnCallClient
from tocsin.contracts.services import WEB_UI
from tocsin.kernel.app import REGISTRY, base_app, with_clients, with_database
from tocsin.kernel.authentication import AUTHENTICATOR, TOKENS
from tocsin.kernel.client_metrics import CLIENT_METRICS
from tocsin.kernel.errors import ConfigurationError
from tocsin.kernel.event_streams import STREAM_LIMIT, StreamLimit
from tocsin.kernel.loopback import is_loopback
from tocsin.kernel.service_keys import SERVICE_KEYS
from tocsin.kernel.shared_time import SHARED_TIME
from tocsin.kernel.tls import TLS_LISTENER, TLSListener, server_context
from tocsin.web.access.domain.passkeys import load_library
from tocsin.web.access.provider.openid import OpenIDProvider
from tocsin.web.access.service import DEPS, Deps, deleted_rows, passkeys
from tocsin.web.access.worker import workers
from tocsin.web.api_description import API_DESCRIPTION, ApiDescription, get_openapi
from tocsin.web.authentication import AccountTokens, SessionAuthenticator
from tocsin.web.gateway import GATEWAY, Gateway
from tocsin.web.pages.analytics.handlers import metrics_redirect_middleware
from tocsin.web.pages.incidents.handlers import SHARED_INCIDENTS
from tocsin.web.pages.now.handlers import SHARED_NOW
from tocsin.web.routes import ACCOUNT_ROUTES, ROUTES, integration_routes
from tocsin.web.settings import SETTINGS, Settings
from tocsin.web.ui import https, security_headers, templating
from tocsin.web.ui.error_page import error_page_middleware
from tocsin.web.ui.on_behalf import on_behalf_middleware
from tocsin.web.ui.page_loader import CACHE, Cache
from tocsin.web.ui.shared_work import EVERYBODY, SharedWork


def create_app(settings: Settings) -> web.Application:
    """Wire the service; nothing connects until the application starts."""
    app = base_app(settings, service=WEB_UI, middlewares=(error_page_middleware,), get_openapi=get_openapi)
    # Innermost, so that a rejected request becomes a problem document, and the document a page.
    app.middlewares.extend([on_behalf_middleware, metrics_redirect_middleware])
    app.on_response_prepare.append(security_headers.add_headers)
    app[SETTINGS] = settings
    _add_accounts(app, settings)
    _add_tls(app, settings)
    app[CACHE] = Cache()
    everybody = EVERYBODY if settings.access == "closed" else None
    app[SHARED_NOW] = SharedWork(everybody)
    app[SHARED_INCIDENTS] = SharedWork(everybody)
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


def _add_tls(app: web.Application, settings: Settings) -> None:
    """Let the service listen with TLS, if there is a certificate. Raise ConfigurationError if it cannot be used."""
    if settings.tls_certificate is None:
        return
    context = server_context(settings.tls_certificate, settings.tls_key)
    app[TLS_LISTENER] = TLSListener(context, settings.tls_port)
    app.middlewares.append(https.https_middleware)
    if not is_loopback(urlsplit(settings.public_url or "").hostname or ""):
        app.on_response_prepare.append(https.add_strict_transport_security)


def _add_accounts(app: web.Application, settings: Settings) -> None:
    """Add the database of the accounts if there is one, and in closed mode, which requires it, their log-in."""
    if not settings.database_url.get_secret_value():
        if settings.access == "closed":
            msg = "ACCESS is closed, which requires DATABASE_URL: the database has the accounts."
            raise ConfigurationError(msg)
        return
    # Pages are shown while the database is unavailable: whoever has logged in can acknowledge.
    db = with_database(app, settings, schema="access", is_required=False)
    if settings.access == "closed":
        app[DEPS] = Deps(db, settings, provider=_openid_provider(app, settings), deleted=deleted_rows(app[REGISTRY]))
        if passkeys.origin_of(app[DEPS]) is not None:
            load_library()
        app[TOKENS] = AccountTokens(app[DEPS])
        app[AUTHENTICATOR] = SessionAuthenticator(app[SERVICE_KEYS])
        app.add_routes(ACCOUNT_ROUTES)
        app.cleanup_ctx.extend(workers(app))


def _openid_provider(app: web.Application, settings: Settings) -> OpenIDProvider | None:
    if not settings.oidc_issuer:
        return None
    return OpenIDProvider(settings, app[SHARED_TIME], app[CLIENT_METRICS])
