"""Requests in, answers out."""

from functools import cache
from http import HTTPStatus

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from tocsin.alerts import service
from tocsin.alerts.metrics import METRICS
from tocsin.alerts.parser import PARSER
from tocsin.alerts.repository.reading import AlertQuery, SummaryQuery
from tocsin.alerts.service import INTAKE
from tocsin.contracts.alerts import Alert, AlertDetail, AlertSummary
from tocsin.contracts.model import Page
from tocsin.integrations.integration import Integration
from tocsin.kernel.db import DB
from tocsin.kernel.errors import DomainError
from tocsin.kernel.openapi import describes
from tocsin.kernel.requests import idempotency_key, parse_query, path_uuid, read_body
from tocsin.kernel.responses import respond


@cache
def receive_from(integration: Integration) -> Handler:
    """Return the handler that accepts the requests of *integration*."""

    async def receive(request: web.Request) -> web.Response:
        try:
            results = await service.ingest(
                request.app[PARSER],
                request.app[INTAKE],
                request.app[METRICS],
                integration=integration,
                body=await read_body(request, limit=integration.body_limit),
                content_type=request.headers.get(hdrs.CONTENT_TYPE, ""),
                key=idempotency_key(request),
            )
        except DomainError as exc:
            reply = integration.refuse(exc)
            if reply is None:
                raise
        else:
            reply = integration.respond(results)
        return respond(reply.body, status=reply.status, headers=reply.headers)

    receive.__doc__ = f"{integration.summary}\n\n{integration.description}"
    described = describes(integration.reply_models, body=integration.request_model, headers=("Idempotency-Key",))
    return described(receive)


@describes(Page[Alert], query=AlertQuery)
async def list_alerts(request: web.Request) -> web.Response:
    """List alerts, newest first."""
    return respond(await service.list_alerts(request.app[DB], parse_query(request, AlertQuery)))


@describes(AlertSummary, query=SummaryQuery)
async def get_summary(request: web.Request) -> web.Response:
    """Sum up what became of the alerts of a window, by default of the last 24 hours."""
    return respond(await service.summarise(request.app[DB], parse_query(request, SummaryQuery)))


@describes(AlertDetail, problems=(HTTPStatus.NOT_FOUND,))
async def get_alert(request: web.Request) -> web.Response:
    """Return one alert, with the request that brought its newest report."""
    return respond(await service.get_alert(request.app[DB], path_uuid(request, "alert_id")))
