"""The composition root of incident management."""

import asyncio
from datetime import timedelta

from aiohttp import web

from tocsin.clients.access import with_audit, with_tokens
from tocsin.clients.oncall import ONCALL, OnCallClient
from tocsin.contracts.services import INCIDENT_MANAGEMENT
from tocsin.incidents.metrics import METRICS, IncidentMetrics
from tocsin.incidents.outbox_handlers import outbox_handlers
from tocsin.incidents.routes import ROUTES
from tocsin.incidents.service import DEPS, OUTBOX_ROWS, TIMELINE_ENTRIES, Deps, retention
from tocsin.incidents.service.stream import HUB, Hub
from tocsin.incidents.settings import SETTINGS, Settings
from tocsin.incidents.worker import export_number_of_incidents, workers
from tocsin.kernel.app import REGISTRY, base_app, with_clients, with_database
from tocsin.kernel.client_metrics import CLIENT_METRICS
from tocsin.kernel.event_streams import STREAM_LIMIT, StreamLimit
from tocsin.kernel.outbox import OUTBOX, Outbox
from tocsin.kernel.partitions import RetentionMetrics
from tocsin.kernel.pg_notify import NotifyChannel
from tocsin.kernel.scrape import AT_SCRAPE


def create_app(settings: Settings) -> web.Application:
    """Wire the service; nothing connects until the application starts."""
    app = base_app(settings, service=INCIDENT_MANAGEMENT)
    app[SETTINGS] = settings
    db = with_database(app, settings, schema="incidents")
    app[METRICS] = metrics = IncidentMetrics.register(app[REGISTRY])
    app[ONCALL] = oncall = OnCallClient(settings.oncall_service_url, app[CLIENT_METRICS])
    channel = NotifyChannel(db, "incidents")
    app[OUTBOX] = outbox = Outbox(db, settings, app[REGISTRY], outbox_handlers(oncall), on_change=channel.notify)
    app[HUB] = hub = Hub(
        db, metrics.stream_clients, buffer=settings.stream_buffer, poll_seconds=settings.stream_poll_seconds
    )
    app[STREAM_LIMIT] = StreamLimit(settings.max_streams)
    app[DEPS] = Deps(
        db=db,
        outbox=outbox,
        oncall=oncall,
        notify_channel=channel,
        metrics=metrics,
        window=timedelta(minutes=settings.correlation_window_minutes),
        correlate_slots=asyncio.Semaphore(settings.correlate_slots()),
        lock_seconds=settings.correlate_lock_seconds,
        auto_resolve=settings.auto_resolve,
        assign_seconds=settings.assign_seconds,
        retention=RetentionMetrics.register(app[REGISTRY], [retention.ALERTS]),
        alert_retention_days=settings.alert_retention_days,
    )
    channel.wake_on_notify(outbox.wakeup, OUTBOX_ROWS)
    channel.wake_on_notify(hub.wakeup, TIMELINE_ENTRIES)
    app[AT_SCRAPE].append(export_number_of_incidents)
    app.add_routes(ROUTES)
    app.on_shutdown.append(hub.close)
    with_clients(app, oncall)
    with_tokens(app, settings)
    with_audit(app, settings)
    app.cleanup_ctx.extend(workers(app))
    return app
