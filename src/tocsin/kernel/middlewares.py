"""The middlewares of every service: request id, log line, metrics, CORS, cross-site check, principal."""

import logging
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, Self

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from prometheus_client import CollectorRegistry, Gauge, Histogram

from tocsin.kernel import body_memory, clock, request_id
from tocsin.kernel.auth import ACTOR_HEADER, PRINCIPAL
from tocsin.kernel.authentication import AUTHENTICATOR, BEARER
from tocsin.kernel.client_address import client_address
from tocsin.kernel.connections import CONNECTIONS
from tocsin.kernel.errors import ForbiddenError, UnauthenticatedError
from tocsin.kernel.event_streams import EVENT_STREAM, STREAMING
from tocsin.kernel.hosts import authority_of
from tocsin.kernel.principal import NOBODY, PrincipalKind, Scope
from tocsin.kernel.problems import CLIENT_CLOSED
from tocsin.kernel.reader import READER, Reader
from tocsin.kernel.request_id import REQUEST_ID
from tocsin.kernel.routing import scope_of
from tocsin.kernel.tracing import NO_SPAN, TRACING, Kind

log = structlog.get_logger("tocsin.request")
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
QUIET_ROUTES = frozenset({"/health", "/health/ready", "/metrics"})
"""Polled every few seconds: logged only if they fail, at any level, and never traced."""
METHODS = hdrs.METH_ALL
PREFLIGHT: Final = {
    hdrs.ACCESS_CONTROL_ALLOW_METHODS: "GET, POST, PUT, PATCH",
    hdrs.ACCESS_CONTROL_ALLOW_HEADERS: (
        f"Content-Type, Idempotency-Key, If-Match, Last-Event-ID, {ACTOR_HEADER}, {request_id.HEADER}"
    ),
    hdrs.ACCESS_CONTROL_MAX_AGE: "600",
}
SAFE_METHODS: Final = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})
OWN_SITES: Final = frozenset({"same-origin", "none"})
"""`Sec-Fetch-Site` of our own pages, and of a request that the user started directly (Fetch Metadata, section 2.2)."""
CORS_ORIGINS = web.AppKey("CORS_ORIGINS", frozenset[str])


@dataclass(frozen=True, slots=True)
class HTTPMetrics:
    """Requests by route template, not by path: clients choose paths, so their number has no bound."""

    seconds: Histogram
    running: Gauge
    known: dict[tuple[str, str, int], Histogram] = field(default_factory=dict)
    """The children of `seconds` used so far: finding a child by its labels costs more than an observation."""

    @classmethod
    def register(cls, registry: CollectorRegistry) -> Self:
        """Declare the metrics on *registry*."""
        return cls(
            Histogram(
                "tocsin_http_request_duration_seconds",
                "Duration of requests.",
                ["method", "route", "status"],
                buckets=BUCKETS,
                registry=registry,
            ),
            Gauge("tocsin_http_requests_in_progress", "Requests being served.", registry=registry),
        )

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        key = (method, route, status)
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = self.seconds.labels(method, route, str(status))
        found.observe(seconds)


HTTP_METRICS = web.AppKey("HTTP_METRICS", HTTPMetrics)


def route_of(request: web.Request) -> str:
    """Return the route's template, or `unmatched`."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unmatched"


@web.middleware
async def request_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Set the request's id, log it and record its metrics; the outermost middleware."""
    REQUEST_ID.set(request_id.valid_or_new(request.headers.get(request_id.HEADER)))
    metrics = request.app[HTTP_METRICS]
    metrics.running.inc()
    status = CLIENT_CLOSED
    started = clock.monotonic()
    with request.app[CONNECTIONS].using(request), _span(request) if TRACING.on else NO_SPAN:
        try:
            response = await handler(request)
        except web.HTTPException as exc:
            status = exc.status
            raise
        else:
            status = response.status
            return response
        finally:
            body_memory.release(request)
            seconds = clock.monotonic() - started
            metrics.running.dec()
            if status == CLIENT_CLOSED and STREAMING in request:
                status = HTTPStatus.OK
            _record(request, metrics, status, seconds)


def _span(request: web.Request) -> AbstractContextManager[None]:
    route = route_of(request)
    if route in QUIET_ROUTES:
        return NO_SPAN
    method = request.method if request.method in METHODS else "other"
    return TRACING.span(
        f"{method} {route}",
        Kind.SERVER,
        parent=request.headers,
        fails=False,
        http__request__method=method,
        http__route=route,
        url__path=request.path,
        tocsin__request_id=REQUEST_ID.get(),
    )


def _record(request: web.Request, metrics: HTTPMetrics, status: int, seconds: float) -> None:
    route = route_of(request)
    method = request.method if request.method in METHODS else "other"
    metrics.observe(method, route, status, seconds)
    if TRACING.on and route not in QUIET_ROUTES:
        TRACING.set_status(status)
    failed = status >= HTTPStatus.BAD_REQUEST
    level = logging.INFO if failed else logging.DEBUG
    logged = failed or (route not in QUIET_ROUTES and STREAMING not in request)
    if logged and log.is_enabled_for(level):  # building the fields costs more than the check
        log.log(
            level,
            "request",
            method=method,
            route=route,
            path=request.path,
            status=status,
            seconds=round(seconds, 6),
            bytes_in=request.content_length or 0,
            remote=client_address(request),
        )


@web.middleware
async def cors_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Respond to preflight requests of the configured origins; `add_headers` lets them read the responses."""
    preflight = request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers
    if preflight and request.headers.get(hdrs.ORIGIN) in request.app[CORS_ORIGINS]:
        return web.Response(status=HTTPStatus.NO_CONTENT, headers=PREFLIGHT)
    return await handler(request)


@web.middleware
async def cross_site_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse an unsafe request from a page of another site.

    A request without `Sec-Fetch-Site` and `Origin` is not from a browser and is allowed.
    """
    if request.method not in SAFE_METHODS and _is_foreign(request):
        msg = "This change was requested by a page of another site and was refused."
        raise ForbiddenError(msg)
    return await handler(request)


def _is_foreign(request: web.Request) -> bool:
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None and origin in request.app[CORS_ORIGINS]:
        return not request.path.startswith("/api/")
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in OWN_SITES
    # The scheme is not compared: behind a proxy that terminates TLS, this server does not know it.
    return origin is not None and origin.partition("://")[2].lower() != authority_of(request).lower()


@web.middleware
async def auth_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Set the request's principal and the reader of its response; refuse the request if it lacks the route's scope."""
    scope = scope_of(request.match_info.route)
    # What needs no permission works while nobody can be authenticated.
    principal = NOBODY if scope is Scope.PUBLIC else await request.app[AUTHENTICATOR].principal_of(request)
    request[PRINCIPAL] = principal
    READER.set(Reader.of(principal))
    if scope is not None and scope not in principal.scopes:
        if principal.kind is PrincipalKind.NOBODY:
            msg = "Log in, or send a token that is valid: `Authorization: Bearer <token>`."
            raise UnauthenticatedError(msg, scheme=BEARER)
        if scope is Scope.SERVICE:
            msg = "This address is for Tocsin's own services, which sign their calls."
        else:
            msg = f"This requires the scope {scope}, which {principal.name or 'this caller'} does not have."
        raise ForbiddenError(msg)
    return await handler(request)


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Set the request id and CORS headers when a response is prepared, which includes streams."""
    response.headers[request_id.HEADER] = REQUEST_ID.get()
    if not isinstance(response, web.Response) and response.content_type == EVENT_STREAM:
        request[STREAMING] = True
    origins = request.app[CORS_ORIGINS]
    if origins:
        response.headers.add(hdrs.VARY, hdrs.ORIGIN)
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is not None and origin in origins:
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
