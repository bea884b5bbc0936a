"""notification-service, wired together."""

from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

from tocsin.clients.incidents import INCIDENTS, IncidentsClient
from tocsin.clients.oncall import ONCALL, OnCallClient
from tocsin.contracts.oncall import Channel as ChannelName
from tocsin.kernel.app import REGISTRY, base_app, with_database, with_neighbours
from tocsin.kernel.http_client import CLIENT_METRICS
from tocsin.kernel.idempotency import forget_old_keys
from tocsin.kernel.outbox import OUTBOX, Outbox
from tocsin.kernel.pg_notify import NotifyChannel
from tocsin.notifications import reports
from tocsin.notifications.channels.mock import MockChannel
from tocsin.notifications.channels.protocol import Channel
from tocsin.notifications.channels.smtp import EmailChannel, NoEmailChannel
from tocsin.notifications.channels.webhook import WebhookChannel, tls_context, webhook_session
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
    app[METRICS] = NotificationMetrics.register(app[REGISTRY])
    app[INCIDENTS] = IncidentsClient(settings.incident_management_url, app[CLIENT_METRICS])
    app[ONCALL] = OnCallClient(settings.oncall_service_url, app[CLIENT_METRICS])
    app[BELL] = NotifyChannel(db, "notifications")
    app[OUTBOX] = Outbox(db, settings, app[REGISTRY], reports.handlers(app[INCIDENTS], app[ONCALL]))
    app.add_routes(ROUTES)

    async def dispatcher(app: web.Application) -> AsyncIterator[None]:
        async with webhook_session(settings) as session:
            channels: dict[ChannelName, Channel] = {
                ChannelName.MOCK: MockChannel(),
                ChannelName.WEBHOOK: WebhookChannel(session, public_url=settings.public_url),
                ChannelName.EMAIL: email_channel(settings),
            }
            delivery = Delivery(db, settings, app[METRICS], app[INCIDENTS], app[OUTBOX], channels)
            dispatcher = Dispatcher(delivery, poll_seconds=settings.poll_seconds)
            app[BELL].wakes(dispatcher.wakeup)
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


def email_channel(settings: Settings) -> Channel:
    """Return the channel for the mail server of *settings*, or one that says what to set."""
    server, sender = settings.smtp_server(), settings.sender()
    if server is None or sender is None:
        return NoEmailChannel()
    return EmailChannel(server, sender=sender, tls=tls_context(settings.ca_bundle), public_url=settings.public_url)
