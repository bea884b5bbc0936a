"""The application factory of notification-service."""

from aiohttp import web

from tocsin.channels import CHANNELS
from tocsin.clients.access import with_audit, with_tokens
from tocsin.clients.incidents import INCIDENTS, IncidentsClient
from tocsin.clients.oncall import ONCALL, OnCallClient
from tocsin.contracts.services import NOTIFICATION_SERVICE
from tocsin.kernel.app import REGISTRY, base_app, with_clients, with_database
from tocsin.kernel.client_metrics import CLIENT_METRICS
from tocsin.kernel.openapi import SCHEMAS
from tocsin.kernel.outbox import Outbox
from tocsin.kernel.outcome_recorder import OutcomeRecorder
from tocsin.kernel.pg_notify import NotifyChannel
from tocsin.notifications.metrics import NotificationMetrics
from tocsin.notifications.outbox_handlers import outbox_handlers
from tocsin.notifications.routes import ROUTES
from tocsin.notifications.service import DEPS, Deps
from tocsin.notifications.settings import Settings
from tocsin.notifications.worker import workers


def create_app(settings: Settings) -> web.Application:
    """Wire the service; nothing connects until the application starts."""
    app = base_app(settings, service=NOTIFICATION_SERVICE)
    db = with_database(app, settings, schema="notifications")
    app[SCHEMAS] = {"ChannelName": CHANNELS.name_schema()}
    app[INCIDENTS] = IncidentsClient(settings.incident_management_url, app[CLIENT_METRICS])
    app[ONCALL] = OnCallClient(settings.oncall_service_url, app[CLIENT_METRICS])
    app[DEPS] = Deps(
        db=db,
        settings=settings,
        metrics=NotificationMetrics.register(app[REGISTRY]),
        incidents=app[INCIDENTS],
        outbox=Outbox(db, settings, app[REGISTRY], outbox_handlers(app[INCIDENTS], app[ONCALL])),
        recorder=OutcomeRecorder(db),
        queue=NotifyChannel(db, "notifications"),
    )
    app.add_routes(ROUTES)
    with_clients(app, app[INCIDENTS], app[ONCALL])
    with_tokens(app, settings)
    with_audit(app, settings)
    app.cleanup_ctx.extend(workers(app))
    return app
