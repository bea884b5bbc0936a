"""The composition root of incident management."""

from datetime import timedelta

from aiohttp import web

from tocsin.clients.oncall import ONCALL, OnCallClient
from tocsin.incidents.metrics import METRICS, IncidentMetrics
from tocsin.incidents.routes import ROUTES
from tocsin.incidents.service import DESK, Desk, escalations
from tocsin.incidents.service.stream import HUB, Hub
from tocsin.incidents.settings import SETTINGS, Settings
from tocsin.incidents.worker import workers
from tocsin.kernel.app import REGISTRY, base_app, with_database, with_neighbours
from tocsin.kernel.http_client import CLIENT_METRICS
from tocsin.kernel.idempotency import forget_old_keys
from tocsin.kernel.outbox import OUTBOX, Outbox
from tocsin.kernel.pg_notify import NotifyChannel


def create_app(settings: Settings) -> web.Application:
    """Wire the service; nothing connects until the application starts."""
    app = base_app(settings, service="incident-management")
    app[SETTINGS] = settings
    db = with_database(app, settings, schema="incidents")
    app[METRICS] = metrics = IncidentMetrics.register(app[REGISTRY])
    app[ONCALL] = oncall = OnCallClient(settings.oncall_service_url, app[CLIENT_METRICS])
    doorbell = NotifyChannel(db, "incidents")
    app[OUTBOX] = outbox = Outbox(db, settings, app[REGISTRY], escalations.handlers(oncall), on_change=doorbell.notify)
    app[HUB] = hub = Hub(
        db, metrics.stream_clients, buffer=settings.stream_buffer, poll_seconds=settings.stream_poll_seconds
    )
    app[DESK] = Desk(
        db=db,
        outbox=outbox,
        doorbell=doorbell,
        metrics=metrics,
        window=timedelta(minutes=settings.correlation_window_minutes),
        lock_seconds=settings.correlate_lock_seconds,
        auto_resolve=settings.auto_resolve,
        assign_seconds=settings.assign_seconds,
    )
    doorbell.wake_on_notify(outbox.wakeup)
    doorbell.wake_on_notify(hub.wakeup)
    app.add_routes(ROUTES)
    app.on_shutdown.append(hub.close)
    with_neighbours(app, oncall)
    app.cleanup_ctx.extend([doorbell.context, outbox.context, *workers(app), forget_old_keys()])
    return app
