"""The application factory of oncall-service."""

from aiohttp import web

from tocsin.channels import CHANNELS
from tocsin.clients.access import with_audit, with_tokens
from tocsin.clients.incidents import INCIDENTS, IncidentsClient
from tocsin.clients.notifications import NOTIFICATIONS, NotificationsClient
from tocsin.contracts.services import ONCALL_SERVICE
from tocsin.kernel.app import REGISTRY, base_app, with_clients, with_database
from tocsin.kernel.client_metrics import CLIENT_METRICS
from tocsin.kernel.openapi import SCHEMAS
from tocsin.kernel.outbox import Outbox
from tocsin.kernel.pg_notify import NotifyChannel
from tocsin.kernel.workers import Wakeup
from tocsin.oncall.domain.contact_resolver import ContactResolver
from tocsin.oncall.metrics import METRICS, OnCallMetrics
from tocsin.oncall.outbox_handlers import outbox_handlers
from tocsin.oncall.routes import ROUTES
from tocsin.oncall.service import DEPS, Deps
from tocsin.oncall.settings import Settings
from tocsin.oncall.worker import workers


def create_app(settings: Settings) -> web.Application:
    """Wire the service; nothing connects until the application starts."""
    app = base_app(settings, service=ONCALL_SERVICE)
    app[SCHEMAS] = {"ChannelName": CHANNELS.name_schema()}
    db = with_database(app, settings, schema="oncall")
    app[METRICS] = OnCallMetrics.register(app[REGISTRY])
    app[INCIDENTS] = IncidentsClient(settings.incident_management_url, app[CLIENT_METRICS])
    app[NOTIFICATIONS] = NotificationsClient(settings.notification_service_url, app[CLIENT_METRICS])
    app[DEPS] = Deps(
        db=db,
        outbox=Outbox(db, settings, app[REGISTRY], outbox_handlers(app)),
        notify_channel=NotifyChannel(db, "oncall"),
        settings=settings,
        metrics=app[METRICS],
        contacts=ContactResolver(email_enabled=settings.pages_by_email, catch_all=settings.catch_all),
        schedules_changed=Wakeup(),
    )
    app.add_routes(ROUTES)
    with_clients(app, app[INCIDENTS], app[NOTIFICATIONS])
    with_tokens(app, settings)
    with_audit(app, settings)
    app.cleanup_ctx.extend(workers(app))
    return app
