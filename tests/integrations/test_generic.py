import json
from datetime import UTC, datetime

from tocsin.contracts.model import Severity
from tocsin.integrations import generic
from tocsin.integrations.integration import DEFAULT_CONFIG


def test_the_timestamp_is_the_start_of_a_firing_alert_and_the_end_of_a_resolved_one() -> None:
    body = {"service": " a ", "severity": "LOW", "message": "m\0", "timestamp": "2026-01-01T00:00:00", "dedup_key": "k"}
    at = datetime(2026, 1, 1, tzinfo=UTC)
    (firing,) = generic.parse(json.dumps(body).encode(), DEFAULT_CONFIG)
    (resolved,) = generic.parse(json.dumps({**body, "status": "resolved"}).encode(), DEFAULT_CONFIG)
    assert (firing.service, firing.severity, firing.message) == ("a", Severity.LOW, "m\N{REPLACEMENT CHARACTER}")
    assert (firing.starts_at, firing.ends_at) == (at, None)
    assert (resolved.starts_at, resolved.ends_at) == (None, at)
