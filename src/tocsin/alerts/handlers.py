"""HTTP handlers of alert-ingestion."""

from functools import cache
from http import HTTPStatus

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from tocsin.alerts.queries import AlertQuery, SummaryQuery
from tocsin.alerts.service import DEPS, search
from tocsin.alerts.service.ingestion import ingest
from tocsin.contracts.alerts import Alert, AlertDetail, AlertSummary
from tocsin.contracts.model import Page
from tocsin.integrations.integration import Integration
from tocsin.kernel.auth import PRINCIPAL
from tocsin.kernel.errors import DomainError
from tocsin.kernel.openapi import describes
from tocsin.kernel.requests import idempotent_request, parse_query, path_uuid, read_body
from tocsin.kernel.responses import respond


@cache
def receive_from(integration: Integration) -> Handler:
    """Return the handler that accepts the requests of *integration*."""

    async def receive(request: web.Request) -> web.Response:
        deps = request.app[DEPS]
        try:
            results = await ingest(
                deps,
                integration,
                body=await read_body(request, limit=integration.body_limit),
                content_type=request.headers.get(hdrs.CONTENT_TYPE, ""),
                idempotent=await idempotent_request(request),
            )
        except DomainError as exc:
            deps.metrics.requests[integration.name, "refused"].inc()
            reply = integration.refuse(exc)
            if reply is None:
                raise
        else:
            deps.metrics.requests[integration.name, "accepted"].inc()
            reply = integration.respond(results)
        return respond(reply.body, status=reply.status, headers=reply.headers)

    receive.__doc__ = f"{integration.summary}\n\n{integration.description}"
    described = describes(integration.reply_models, body=integration.request_model, headers=("Idempotency-Key",))
    return described(receive)


@describes(Page[Alert], query=AlertQuery)
async def list_alerts(request: web.Request) -> web.Response:
    """List alerts, newest first."""
    return respond(await search.list_alerts(request.app[DEPS], parse_query(request, AlertQuery)))


@describes(AlertSummary, query=SummaryQuery)
async def get_summary(request: web.Request) -> web.Response:
    """Return the outcome of the alerts of a window, by default of the last 24 hours."""
    return respond(await search.summarise(request.app[DEPS], parse_query(request, SummaryQuery)))


@describes(AlertDetail, problems=(HTTPStatus.NOT_FOUND,))
async def get_alert(request: web.Request) -> web.Response:
    """Return one alert with the request of its newest report."""
    return respond(await search.get_alert(request.app[DEPS], path_uuid(request, "alert_id"), request[PRINCIPAL]))
