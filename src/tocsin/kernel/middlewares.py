"""What happens around every request: its id, one canonical log line, its metrics."""

from dataclasses import dataclass
from typing import Self

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from prometheus_client import CollectorRegistry, Gauge, Histogram

from tocsin.kernel import clock, request_id

log = structlog.get_logger("tocsin.request")
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
QUIET_ROUTES = frozenset({"/health", "/health/ready", "/metrics"})
"""Asked every few seconds: measured, and logged only when they fail."""
METHODS = hdrs.METH_ALL


@dataclass(frozen=True, slots=True)
class HTTPMetrics:
    """Requests served, by route template: never by path, which a caller chooses."""

    seconds: Histogram
    running: Gauge

    @classmethod
    def register(cls, registry: CollectorRegistry) -> Self:
        """Declare the metrics on *registry*."""
        return cls(
            Histogram(
                "tocsin_http_request_duration_seconds",
                "How long requests took.",
                ["method", "route", "status"],
                buckets=BUCKETS,
                registry=registry,
            ),
            Gauge("tocsin_http_requests_in_progress", "Requests being served.", registry=registry),
        )


HTTP_METRICS = web.AppKey("HTTP_METRICS", HTTPMetrics)


def route_of(request: web.Request) -> str:
    """Return the route's template, or `unmatched`."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unmatched"


@web.middleware
async def request_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Bind the request's id, answer with it, and leave one log line and one measurement; the outermost middleware."""
    given = request_id.accepted(request.headers.get(request_id.HEADER))
    request_id.REQUEST_ID.set(given)
    metrics = request.app[HTTP_METRICS]
    started = clock.monotonic()
    status = 499  # what nginx made the sign for: the client went away before it was answered
    metrics.running.inc()
    try:
        response = await handler(request)
    except web.HTTPException as exc:
        status = exc.status
        exc.headers[request_id.HEADER] = given
        raise
    else:
        status = response.status
        if not response.prepared:
            response.headers[request_id.HEADER] = given
        return response
    finally:
        metrics.running.dec()
        seconds = clock.monotonic() - started
        route = route_of(request)
        method = request.method if request.method in METHODS else "other"
        metrics.seconds.labels(method, route, str(status)).observe(seconds)
        if route not in QUIET_ROUTES or status >= 400:  # noqa: PLR2004 - errors begin at 400
            log.info(
                "request",
                request_id=given,
                method=method,
                route=route,
                path=request.path,
                status=status,
                seconds=round(seconds, 6),
                bytes_in=request.content_length or 0,
                remote=request.remote,
            )


@web.middleware
async def cors_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let pages of the configured origins read answers; answer their preflight. Closed for all others."""
    origin = request.headers.get(hdrs.ORIGIN)
    allowed = origin is not None and origin in request.app[CORS_ORIGINS]
    if allowed and request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers:
        response: web.StreamResponse = web.Response(status=204)
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = "GET, POST, PATCH"
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = (
            "Content-Type, Idempotency-Key, If-Match, Last-Event-ID, X-Actor, X-Request-ID"
        )
        response.headers[hdrs.ACCESS_CONTROL_MAX_AGE] = "600"
    else:
        response = await handler(request)
    if allowed and origin is not None and not response.prepared:
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
        response.headers.add(hdrs.VARY, hdrs.ORIGIN)
    return response


CORS_ORIGINS = web.AppKey("CORS_ORIGINS", frozenset[str])
