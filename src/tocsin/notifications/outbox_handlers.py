"""Delivery of outbox rows: reports to incident-management and oncall-service."""

from collections.abc import Mapping
from http import HTTPStatus
from uuid import UUID

import structlog

from tocsin.clients.incidents import IncidentsClient
from tocsin.clients.oncall import OnCallClient
from tocsin.contracts.services import INCIDENT_MANAGEMENT, ONCALL_SERVICE
from tocsin.kernel.errors import RejectedError
from tocsin.kernel.outbox import Handler, OutboxMessage
from tocsin.notifications.service.reports import DELIVERY_FAILED, TIMELINE

log = structlog.get_logger(__name__)


def outbox_handlers(incidents: IncidentsClient, oncall: OnCallClient) -> Mapping[str, Handler]:
    """Return the handler of each kind of row. A delivery report for an unknown incident is dropped."""

    async def timeline(row: OutboxMessage) -> None:
        incident_id = UUID(row.key)
        try:
            await incidents.append_timeline(incident_id, row.body, idempotency_key=str(row.message_id))
        except RejectedError as exc:
            _ignore_unknown(exc, INCIDENT_MANAGEMENT, incident_id)

    async def delivery_failed(row: OutboxMessage) -> None:
        incident_id = UUID(row.key.partition("/")[0])
        try:
            await oncall.delivery_failed(incident_id, row.body, idempotency_key=str(row.message_id))
        except RejectedError as exc:
            _ignore_unknown(exc, ONCALL_SERVICE, incident_id)

    return {TIMELINE: timeline, DELIVERY_FAILED: delivery_failed}


def _ignore_unknown(exc: RejectedError, receiver: str, incident_id: UUID) -> None:
    if exc.status != HTTPStatus.NOT_FOUND:
        raise exc
    log.info(
        "delivery report dropped: the receiving service does not know the incident",
        receiver=receiver,
        incident_id=str(incident_id),
    )
