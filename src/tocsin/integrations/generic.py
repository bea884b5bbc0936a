"""Tocsin's own format: one alert per request, strictly validated, because its sender reads the response."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from pydantic import ValidationError

from tocsin.contracts.alerts import Acceptance, AlertAccepted, AlertAction, AlertIn, AlertStatus
from tocsin.integrations.integration import (
    Headers,
    IncomingAlert,
    IngestResult,
    Integration,
    IntegrationConfig,
    Reply,
    captured,
)
from tocsin.kernel.validation import BODY_LIMIT, MAX_VALUES, parse_json

NAME: Final = "generic"
PAYLOADS: Final = captured(NAME)
SETUP: Final = """\
Post JSON with `service`, `severity` and `message`:

```sh
curl {url}/api/v1/alerts --json '{"service": "checkout", "severity": "high", "message": "Card payments fail"}'
```
"""


def detect(_headers: Headers, body: bytes) -> bool:
    """Return whether *body* is a valid `AlertIn`."""
    try:
        AlertIn.model_validate_json(body)
    except ValidationError:
        return False
    return True


def parse(body: bytes, _config: IntegrationConfig) -> list[IncomingAlert]:
    """Return the one alert of an `AlertIn`. Raise MalformedRequestError, InvalidRequestError."""
    given = parse_json(body, AlertIn)
    firing = given.status is AlertStatus.FIRING
    return [
        IncomingAlert(
            service=given.service,
            severity=given.severity,
            message=given.message,
            status=given.status,
            labels=given.labels,
            links=given.links,
            source=given.source,
            dedup_key=given.dedup_key,
            starts_at=given.timestamp if firing else None,
            ends_at=None if firing else given.timestamp,
        )
    ]


def respond(results: Sequence[IngestResult]) -> Reply:
    """Return 201 with the alert's incident, or 202 while correlation is pending."""
    [result] = results
    pending = result.action is AlertAction.PENDING
    accepted = AlertAccepted(
        alert_id=result.alert_id,
        incident_id=result.incident_id,
        status=Acceptance.ACCEPTED if pending else Acceptance.CORRELATED,
        action=result.action,
    )
    return Reply(HTTPStatus.ACCEPTED if pending else HTTPStatus.CREATED, accepted)


INTEGRATION: Final = Integration(
    name=NAME,
    label="Tocsin's own format",
    path="/api/v1/alerts",
    summary="Accept one alert.",
    description=(
        "The alert is stored durably before the response: 201 with its incident, or 202 if correlation did not finish "
        "in time and continues in the background. Without a `dedup_key` every request is a new alert; with one, the "
        "open alert of the same service and key is updated and keeps its incident."
    ),
    setup=SETUP,
    payloads=PAYLOADS,
    request_model=AlertIn,
    reply_models={HTTPStatus.CREATED: AlertAccepted, HTTPStatus.ACCEPTED: AlertAccepted},
    detect=detect,
    parse=parse,
    respond=respond,
    max_values=MAX_VALUES,
    body_limit=BODY_LIMIT,
)
