"""What every integration must fulfil."""

from dataclasses import asdict

from tocsin.contracts.alerts import AlertIn
from tocsin.integrations.integration import IncomingAlert


def assert_within_bounds(alert: IncomingAlert) -> None:
    """Fail if *alert* exceeds the bounds of Tocsin's own format."""
    fields = asdict(alert) | {"timestamp": alert.starts_at, "links": [link.model_dump() for link in alert.links]}
    AlertIn.model_validate(fields)
