"""Requests in, answers out."""

from http import HTTPStatus
from typing import Final

from aiohttp import hdrs, web

from tocsin.alerts import service
from tocsin.alerts.domain import Receipt
from tocsin.alerts.metrics import METRICS
from tocsin.alerts.parser import PARSER
from tocsin.alerts.receivers import alertmanager, generic
from tocsin.alerts.receivers.alertmanager import Webhook
from tocsin.alerts.repository.reading import AlertQuery, SummaryQuery
from tocsin.alerts.service import INTAKE
from tocsin.contracts.alerts import (
    Acceptance,
    Alert,
    AlertAccepted,
    AlertAction,
    AlertDetail,
    AlertIn,
    AlertSummary,
    ReceivedAlert,
    ReceivedAlerts,
)
from tocsin.contracts.model import Page
from tocsin.kernel.db import DB
from tocsin.kernel.openapi import describes
from tocsin.kernel.requests import BODY_LIMIT, idempotency_key, parse_query, path_uuid, read_body
from tocsin.kernel.responses import respond

RECEIVER_BODY_LIMIT: Final = 8 * 1024 * 1024


@describes(
    {HTTPStatus.CREATED: AlertAccepted, HTTPStatus.ACCEPTED: AlertAccepted},
    body=AlertIn,
    headers=("Idempotency-Key",),
)
async def post_alert(request: web.Request) -> web.Response:
    """Take one alert.

    It is stored durably before this answers: with 201 and its incident, or with 202 if its incident is not known in
    time; it is correlated later then. Without a `dedup_key` each request is an alert of its own; with one, an open
    alert of the same key is updated and keeps its incident.
    """
    receipts = await _ingest(request, generic.RECEIVER, BODY_LIMIT)
    receipt = receipts[0]
    pending = receipt.action is AlertAction.PENDING
    accepted = AlertAccepted.model_construct(
        alert_id=receipt.alert_id,
        incident_id=receipt.incident_id,
        status=Acceptance.ACCEPTED if pending else Acceptance.CORRELATED,
        action=receipt.action,
    )
    return respond(accepted, status=HTTPStatus.ACCEPTED if pending else HTTPStatus.CREATED)


@describes(ReceivedAlerts, body=Webhook, headers=("Idempotency-Key",))
async def post_alertmanager(request: web.Request) -> web.Response:
    """Take the alerts of a Prometheus Alertmanager's `webhook_configs` (version 4), each for itself.

    Their fingerprint is their key, so that repeats and resolves find their alert.
    """
    receipts = await _ingest(request, alertmanager.RECEIVER, RECEIVER_BODY_LIMIT)
    received = [
        ReceivedAlert(alert_id=receipt.alert_id, incident_id=receipt.incident_id, action=receipt.action)
        for receipt in receipts
    ]
    return respond(ReceivedAlerts(alerts=received))


async def _ingest(request: web.Request, receiver: str, limit: int) -> list[Receipt]:
    return await service.ingest(
        request.app[PARSER],
        request.app[INTAKE],
        request.app[METRICS],
        receiver=receiver,
        body=await read_body(request, limit=limit),
        content_type=request.headers.get(hdrs.CONTENT_TYPE, ""),
        key=idempotency_key(request),
    )


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
