"""The application of alert-ingestion."""

from aiohttp import web

from tocsin.alerts.metrics import PARTITIONED, AlertMetrics
from tocsin.alerts.routes import ROUTES, integration_routes
from tocsin.alerts.service import DEPS, Deps
from tocsin.alerts.service.batch_writer import BatchWriter
from tocsin.alerts.service.correlator import Correlator
from tocsin.alerts.service.forwarder import Forwarder
from tocsin.alerts.service.parsing import BodyParser
from tocsin.alerts.settings import Settings
from tocsin.alerts.worker import workers
from tocsin.clients.access import with_tokens
from tocsin.clients.incidents import IncidentsClient
from tocsin.contracts.services import ALERT_INGESTION
from tocsin.kernel.app import REGISTRY, base_app, with_clients, with_database
from tocsin.kernel.client_metrics import CLIENT_METRICS
from tocsin.kernel.outcome_recorder import OutcomeRecorder
from tocsin.kernel.partitions import RetentionMetrics


def create_app(settings: Settings) -> web.Application:
    """Wire the service; nothing connects until the application starts."""
    app = base_app(settings, service=ALERT_INGESTION)
    db = with_database(app, settings, schema="alerts")
    incidents = IncidentsClient(settings.incident_management_url, app[CLIENT_METRICS])
    metrics = AlertMetrics.register(app[REGISTRY])
    correlator = Correlator(db, incidents, metrics)
    forwarder = Forwarder(correlator, settings)
    app[DEPS] = Deps(
        db=db,
        settings=settings,
        metrics=metrics,
        parser=BodyParser(),
        batch_writer=BatchWriter(db, metrics, forwarder, settings),
        correlator=correlator,
        forwarder=forwarder,
        recorder=OutcomeRecorder(db),
        incidents=incidents,
        retention=RetentionMetrics.register(app[REGISTRY], PARTITIONED),
    )
    app.add_routes([*integration_routes(), *ROUTES])
    with_clients(app, incidents)
    with_tokens(app, settings)
    app.cleanup_ctx.extend(workers(app))
    return app
