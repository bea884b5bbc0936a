"""notification-service, wired together."""

from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

from tocsin.channels import CHANNELS
from tocsin.channels.transports import open_transports
from tocsin.clients.incidents import INCIDENTS, IncidentsClient
from tocsin.clients.oncall import ONCALL, OnCallClient
from tocsin.kernel.app import REGISTRY, base_app, with_database, with_neighbours
from tocsin.kernel.http_client import CLIENT_METRICS
from tocsin.kernel.idempotency import forget_old_keys
from tocsin.kernel.openapi import SCHEMAS
from tocsin.kernel.outbox import OUTBOX, Outbox
from tocsin.kernel.pg_notify import NotifyChannel
from tocsin.notifications import reports
from tocsin.notifications.delivery import Delivery
from tocsin.notifications.handlers import BELL
from tocsin.notifications.metrics import METRICS, NotificationMetrics
from tocsin.notifications.routes import ROUTES
from tocsin.notifications.settings import Settings
from tocsin.notifications.worker import Dispatcher, look_after

HOUSEKEEPING_POLLS: Final = 5
"""The queue is measured every so many polls."""


def create_app(settings: Settings) -> web.Application:
    """Wire the service; nothing connects until the application starts."""
    app = base_app(settings, service="notification-service")
    db = with_database(app, settings, schema="notifications")
    app[SCHEMAS] = {"ChannelName": CHANNELS.name_schema()}
    app[METRICS] = NotificationMetrics.register(app[REGISTRY])
    app[INCIDENTS] = IncidentsClient(settings.incident_management_url, app[CLIENT_METRICS])
    app[ONCALL] = OnCallClient(settings.oncall_service_url, app[CLIENT_METRICS])
    app[BELL] = NotifyChannel(db, "notifications")
    app[OUTBOX] = Outbox(db, settings, app[REGISTRY], reports.handlers(app[INCIDENTS], app[ONCALL]))
    app.add_routes(ROUTES)

    async def dispatcher(app: web.Application) -> AsyncIterator[None]:
        async with open_transports(
            allowed_networks=settings.webhook_allowed_networks, ca_bundle=settings.ca_bundle
        ) as transports:
            delivery = Delivery(db, settings, app[METRICS], app[INCIDENTS], app[OUTBOX], transports)
            dispatcher = Dispatcher(delivery, poll_seconds=settings.poll_seconds)
            app[BELL].wake_on_notify(dispatcher.wakeup)
            async for _ in dispatcher.context(app):
                yield

    with_neighbours(app, app[INCIDENTS], app[ONCALL])
    app.cleanup_ctx.extend(
        [
            app[OUTBOX].context,
            forget_old_keys(),
            look_after(HOUSEKEEPING_POLLS * settings.poll_seconds),
            app[BELL].context,
            dispatcher,
        ]
    )
    return app
