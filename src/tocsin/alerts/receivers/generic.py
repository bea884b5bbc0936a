"""Tocsin's own format: one alert, strictly checked, since whoever writes it can read the answer."""

from tocsin.alerts.domain import IncomingAlert
from tocsin.contracts.alerts import AlertIn, AlertStatus
from tocsin.kernel.requests import parse_json

RECEIVER = "generic"


def parse(body: bytes) -> list[IncomingAlert]:
    """Read one `AlertIn`. Raise MalformedRequestError, InvalidRequestError."""
    given = parse_json(body, AlertIn)
    fires = given.status is AlertStatus.FIRING
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
            starts_at=given.timestamp if fires else None,
            ends_at=None if fires else given.timestamp,
        )
    ]
