"""Settings of alert-ingestion."""

from typing import Annotated

from pydantic import Field

from tocsin.kernel.service_settings import ServiceSettings
from tocsin.kernel.settings import HTTPURL, RetentionDays, Seconds


class Settings(ServiceSettings):
    """Read from the environment, once, at start-up."""

    port: Annotated[int, Field(ge=0, le=65_535)] = 8001
    incident_management_url: HTTPURL = "http://127.0.0.1:8002"
    """The base URL of incident-management."""
    correlate_timeout_seconds: Seconds = 0.5
    """How long a request waits for correlation; after that it gets 202, and correlation continues in the background."""
    breaker_seconds: Seconds = 1.0
    """How long the circuit breaker stays open after three consecutive failures of incident-management."""
    commit_patience_seconds: Seconds = 3.0
    """How long storing an alert is retried while the database is unavailable; after that the request gets 503."""
    forward_grace_seconds: Seconds = 2.0
    """How long a stored alert may stay unforwarded before it is overdue and forwarding is retried; longer while
    incident-management is slow."""
    rejected_retry_seconds: Seconds = 30.0
    """How long a rejected alert waits for the next attempt: another release of incident-management may accept it."""
    alert_retention_days: RetentionDays = 90
    """How many days alerts are kept at least; 0 keeps them for ever. Four weeks of alerts are deleted together, once
    none of them is open or belongs to an unresolved incident."""
    request_retention_days: RetentionDays = 14
    """How many days the raw requests of senders are kept at least; 0 keeps them for ever. Those of a week are deleted
    together."""
    retention_check_seconds: Seconds = 600.0
    """How often partitions are added and expired ones are deleted."""
