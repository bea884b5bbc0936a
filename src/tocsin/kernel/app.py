"""The application factory that every service starts from: it wires, and connects nothing."""

from aiohttp import web
from aiohttp.typedefs import Middleware
from prometheus_client import CollectorRegistry, disable_created_metrics
from prometheus_client.aiohttp import make_aiohttp_handler

from tocsin.kernel import health, openapi, process_metrics
from tocsin.kernel.db import DB, Database, database
from tocsin.kernel.http_client import CLIENT_METRICS, ClientMetrics, ServiceClient
from tocsin.kernel.middlewares import (
    CORS_ORIGINS,
    HTTP_METRICS,
    HTTPMetrics,
    add_headers,
    cors_middleware,
    cross_site_middleware,
    request_middleware,
)
from tocsin.kernel.problems import problem_middleware
from tocsin.kernel.requests import INTERNAL_BODY_LIMIT
from tocsin.kernel.settings import ProcessSettings, ServiceSettings
from tocsin.kernel.workers import WORKER_METRICS, WorkerMetrics

disable_created_metrics()  # type: ignore[no-untyped-call] # a `_created` gauge beside each counter doubles a scrape
REGISTRY = web.AppKey("REGISTRY", CollectorRegistry)


def base_app(settings: ProcessSettings, *, service: str, middlewares: tuple[Middleware, ...] = ()) -> web.Application:
    """Return an application with ids, logs, metrics, problem documents, health and its own description.

    *middlewares* run inside the request's measurement and outside the problem documents' making.
    """
    origins = frozenset(filter(None, settings.cors_origins.split(",")))
    cors = [cors_middleware] if origins else []
    app = web.Application(
        # What the innermost refuses becomes a problem document.
        middlewares=[request_middleware, *cors, *middlewares, problem_middleware, cross_site_middleware],
        client_max_size=INTERNAL_BODY_LIMIT,
    )
    app.on_response_prepare.append(add_headers)
    registry = CollectorRegistry(auto_describe=True)
    app[REGISTRY] = registry
    app[HTTP_METRICS] = HTTPMetrics.register(registry)
    app[CLIENT_METRICS] = ClientMetrics.register(registry)
    app[WORKER_METRICS] = WorkerMetrics.register(registry)
    process_metrics.watch_process(app, registry)
    app[CORS_ORIGINS] = origins
    app[health.SERVICE] = service
    app[health.READINESS] = health.Readiness()
    app[openapi.CACHE] = openapi.new_cache()
    app.add_routes(
        [
            web.get("/health", health.get_health),
            web.get("/health/ready", health.get_ready),
            web.get("/metrics", make_aiohttp_handler(registry)),
            *openapi.documentation_routes(),
        ]
    )
    return app


def with_database(app: web.Application, settings: ServiceSettings, *, schema: str) -> Database:
    """Give *app* its database (`DB`) and make readiness ask for it. First of the cleanup contexts: closed last."""
    app[DB] = Database(settings.database_config(), schema=schema)
    app[health.READINESS].required["database"] = health.database_answers
    app.cleanup_ctx.extend([database, process_metrics.watch_database(app, app[REGISTRY], settings)])
    return app[DB]


def with_neighbours(app: web.Application, *clients: ServiceClient) -> None:
    """Keep *clients* while *app* runs, and make readiness name the services behind them: it works on without."""
    for client in clients:
        app.cleanup_ctx.append(client.context)
        app[health.READINESS].optional[client.peer] = health.neighbour_answers(client)
