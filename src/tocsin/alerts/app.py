"""alert-ingestion, wired together."""

from aiohttp import web

from tocsin.alerts.intake import Intake
from tocsin.alerts.metrics import METRICS, AlertMetrics
from tocsin.alerts.parser import PARSER, Parser
from tocsin.alerts.routes import ROUTES, integration_routes
from tocsin.alerts.service import INTAKE
from tocsin.alerts.settings import Settings
from tocsin.alerts.telling import Teller
from tocsin.alerts.worker import Sweeper, sweeping
from tocsin.clients.incidents import INCIDENTS, IncidentsClient
from tocsin.kernel.app import REGISTRY, base_app, with_database, with_neighbours
from tocsin.kernel.http_client import CLIENT_METRICS


def create_app(settings: Settings) -> web.Application:
    """Wire the service; nothing connects until the application starts."""
    app = base_app(settings, service="alert-ingestion")
    db = with_database(app, settings, schema="alerts")
    metrics = app[METRICS] = AlertMetrics.register(app[REGISTRY])
    incidents = app[INCIDENTS] = IncidentsClient(settings.incident_management_url, app[CLIENT_METRICS])
    teller = Teller(db, incidents, metrics, settings)
    intake = app[INTAKE] = Intake(db, metrics, teller, settings)
    parser = app[PARSER] = Parser()
    app.add_routes([*integration_routes(), *ROUTES])
    sweeper = Sweeper(db, teller, metrics, settings)
    # Torn down in reverse: what still waits is stored, then told, before its connections close.
    with_neighbours(app, incidents)
    app.cleanup_ctx.extend([parser.context, teller.context, intake.context, *sweeping(sweeper, settings)])
    return app
