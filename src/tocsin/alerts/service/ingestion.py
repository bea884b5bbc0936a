"""Ingest a sender's request: parse it, store it durably, and correlate its alerts."""

from typing import Final

from tocsin.alerts.domain import IncomingRequest
from tocsin.alerts.service import Deps
from tocsin.integrations.integration import IngestResult, Integration
from tocsin.kernel import clock
from tocsin.kernel.idempotent_request import IdempotentRequest
from tocsin.kernel.ids import new_id
from tocsin.kernel.tracing import TRACING

MAX_CONTENT_TYPE: Final = 256


async def ingest(
    deps: Deps, integration: Integration, *, body: bytes, content_type: str, idempotent: IdempotentRequest | None
) -> list[IngestResult]:
    """Store the alerts of a request and return the outcome of each, in their order.

    Raise MalformedRequestError, InvalidRequestError, TooLargeError, or UnavailableError if nothing was stored.
    """
    started = clock.monotonic()
    alerts = await deps.parser.parse(integration, body)
    if not alerts:
        return []
    # aiohttp decodes header bytes that are not UTF-8 to lone surrogates, which PostgreSQL rejects.
    storable = content_type[:MAX_CONTENT_TYPE].encode("utf-8", "replace").decode()
    request = IncomingRequest(new_id(), idempotent, integration.name, storable, body, TRACING.context())
    results = await deps.batch_writer.submit(request, alerts)
    seconds = clock.monotonic() - started
    for _ in results:
        deps.metrics.processing.observe(seconds)
    return results
