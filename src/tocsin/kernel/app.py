"""Build the aiohttp application that every service starts from; nothing connects yet."""

from aiohttp import web
from aiohttp.typedefs import Middleware
from prometheus_client import CollectorRegistry, disable_created_metrics

from tocsin.kernel import allocator, health, openapi, process_metrics, routing
from tocsin.kernel.audit import caller_middleware
from tocsin.kernel.audit_refusals import REFUSALS, Refusals, refusals_middleware
from tocsin.kernel.authentication import AUTHENTICATOR, authenticator
from tocsin.kernel.body_memory import BODY_MEMORY, BodyMemory
from tocsin.kernel.client_address import CLIENT_ADDRESSES, ClientAddresses
from tocsin.kernel.client_metrics import CLIENT_METRICS, ClientMetrics
from tocsin.kernel.connections import CONNECTIONS, Connections
from tocsin.kernel.db import DB, Database, database
from tocsin.kernel.hosts import ALLOWED_HOSTS, AllowedHosts, host_middleware
from tocsin.kernel.http_client import ServiceClient
from tocsin.kernel.middlewares import (
    CORS_ORIGINS,
    HTTP_METRICS,
    HTTPMetrics,
    add_headers,
    auth_middleware,
    cors_middleware,
    cross_site_middleware,
    request_middleware,
)
from tocsin.kernel.network_exposure import forwarded_middleware
from tocsin.kernel.principal import Scope
from tocsin.kernel.problems import problem_middleware
from tocsin.kernel.requests import BODY_SECONDS, INTERNAL_BODY_LIMIT
from tocsin.kernel.scrape import AT_SCRAPE, metrics_handler
from tocsin.kernel.service_keys import SERVICE_KEYS, ServiceKeys
from tocsin.kernel.service_settings import ServiceSettings
from tocsin.kernel.settings import ProcessSettings
from tocsin.kernel.shared_time import SHARED_TIME, SharedTime
from tocsin.kernel.workers import WORKER_METRICS, WorkerMetrics

disable_created_metrics()  # type: ignore[no-untyped-call] # a `_created` gauge beside each counter doubles a scrape
REGISTRY = web.AppKey("REGISTRY", CollectorRegistry)


def base_app(
    settings: ProcessSettings,
    *,
    service: str,
    middlewares: tuple[Middleware, ...] = (),
    get_openapi: routing.Handler = openapi.get_openapi,
) -> web.Application:
    """Return an application with request ids, logs, metrics, problem documents, health and API documentation.

    *middlewares* run after `request_middleware` and before `problem_middleware`. *get_openapi* returns the OpenAPI
    document; by default that of the application's own routes. Raise ConfigurationError if a key cannot be used.
    """
    allocator.configure()
    origins = frozenset(filter(None, settings.cors_origins.split(",")))
    cors = [cors_middleware] if origins else []
    private = [forwarded_middleware] if settings.access == "open" and not settings.allow_open_network else []
    closed = settings.access == "closed"
    app = web.Application(
        middlewares=[
            request_middleware,
            *cors,
            *middlewares,
            problem_middleware,
            host_middleware,
            *private,
            cross_site_middleware,
            *([refusals_middleware] if closed else []),
            auth_middleware,
            *([caller_middleware] if closed else []),
        ],
        client_max_size=INTERNAL_BODY_LIMIT,
    )
    app.on_response_prepare.append(add_headers)
    registry = CollectorRegistry(auto_describe=True)
    app[REGISTRY] = registry
    app[AT_SCRAPE] = []
    app[CONNECTIONS] = Connections(settings.max_connections, registry)
    app[HTTP_METRICS] = HTTPMetrics.register(registry)
    app[CLIENT_METRICS] = ClientMetrics.register(registry)
    app[WORKER_METRICS] = WorkerMetrics.register(registry)
    process_metrics.watch_process(app, registry)
    app[CORS_ORIGINS] = origins
    app[BODY_MEMORY] = BodyMemory.of(settings, registry)
    app[BODY_SECONDS] = settings.body_timeout_seconds
    app[SHARED_TIME] = SharedTime()
    app[SERVICE_KEYS] = ServiceKeys.of(settings, service, app[SHARED_TIME])
    app[CLIENT_ADDRESSES] = ClientAddresses.of(settings, app[SERVICE_KEYS])
    app[AUTHENTICATOR] = authenticator(settings, app[SERVICE_KEYS])
    if closed:
        app[REFUSALS] = Refusals.of(service, app[SHARED_TIME], registry)
    app[ALLOWED_HOSTS] = AllowedHosts.of(settings, service=service)
    app.on_startup.append(routing.require_scopes)
    app[health.SERVICE] = service
    app[health.READINESS] = health.Readiness()
    app[openapi.CACHE] = openapi.new_cache()
    app.add_routes(
        [
            routing.get("/health", health.get_health, scope=Scope.PUBLIC),
            routing.get("/health/ready", health.get_ready, scope=Scope.PUBLIC),
            routing.get(
                "/metrics",
                metrics_handler(registry, settings.metrics_token),
                # The handler checks the token, which belongs to no account.
                scope=Scope.METRICS if settings.metrics_token is None else Scope.PUBLIC,
            ),
            *openapi.documentation_routes(get_openapi),
        ]
    )
    return app


def with_database(
    app: web.Application, settings: ServiceSettings, *, schema: str, is_required: bool = True
) -> Database:
    """Add a database (`DB`), which readiness reports, and requires unless told otherwise.

    Call it first, so that the database closes last.
    """
    app[DB] = Database(settings.database_config(), schema=schema)
    checks = app[health.READINESS].required if is_required else app[health.READINESS].optional
    checks["database"] = health.check_database
    app.cleanup_ctx.extend([database, process_metrics.watch_database(app, app[REGISTRY], settings)])
    return app[DB]


def with_clients(app: web.Application, *clients: ServiceClient) -> None:
    """Open *clients*, which sign their calls, while *app* runs; readiness reports their services, but requires none."""
    for client in clients:
        client.sign = app[SERVICE_KEYS].authorization
        app.cleanup_ctx.append(client.context)
        app[health.READINESS].optional[client.peer] = health.check_service(client)
