"""oncall-service, wired together."""

from aiohttp import web

from tocsin.channels import CHANNELS
from tocsin.clients.incidents import INCIDENTS, IncidentsClient
from tocsin.clients.notifications import NOTIFICATIONS, NotificationsClient
from tocsin.kernel.app import REGISTRY, base_app, with_database, with_neighbours
from tocsin.kernel.http_client import CLIENT_METRICS
from tocsin.kernel.idempotency import forget_old_keys
from tocsin.kernel.openapi import SCHEMAS
from tocsin.kernel.outbox import OUTBOX, Outbox
from tocsin.kernel.pg_notify import NotifyChannel
from tocsin.kernel.workers import Wakeup, worker
from tocsin.oncall.metrics import METRICS, OnCallMetrics
from tocsin.oncall.routes import ROUTES
from tocsin.oncall.service.escalations import PAGER, Pager
from tocsin.oncall.service.schedules import SCHEDULES_CHANGED
from tocsin.oncall.settings import SETTINGS, Settings
from tocsin.oncall.worker import handlers, refresh_gauges, roll_up, step_due


def create_app(settings: Settings) -> web.Application:
    """Wire the service; nothing connects until the application starts."""
    app = base_app(settings, service="oncall-service")
    app[SETTINGS] = settings
    app[SCHEMAS] = {"ChannelName": CHANNELS.name_schema()}
    db = with_database(app, settings, schema="oncall")
    app[METRICS] = OnCallMetrics.register(app[REGISTRY])
    app[INCIDENTS] = IncidentsClient(settings.incident_management_url, app[CLIENT_METRICS])
    app[NOTIFICATIONS] = NotificationsClient(settings.notification_service_url, app[CLIENT_METRICS])
    app[OUTBOX] = Outbox(db, settings, app[REGISTRY], handlers(app))
    doorbell = NotifyChannel(db, "oncall")
    app[PAGER] = Pager(db, app[OUTBOX], doorbell, settings, app[METRICS])
    app[SCHEDULES_CHANGED] = Wakeup()
    due = Wakeup()
    doorbell.wake_on_notify(due)
    doorbell.wake_on_notify(app[OUTBOX].wakeup)
    app.add_routes(ROUTES)
    with_neighbours(app, app[INCIDENTS], app[NOTIFICATIONS])
    app.cleanup_ctx.extend(
        [
            app[OUTBOX].context,
            worker("escalations", step_due, interval=settings.poll_seconds, wakeup=due),
            worker("gauges", refresh_gauges, interval=settings.gauge_seconds, wakeup=app[SCHEDULES_CHANGED]),
            worker("rollup", roll_up, interval=settings.rollup_seconds),
            forget_old_keys(),
            doorbell.context,
        ]
    )
    return app
