"""Settings of alert-ingestion."""

from typing import Annotated

from pydantic import Field

from tocsin.kernel.settings import HTTPURL, Seconds, ServiceSettings


class Settings(ServiceSettings):
    """Read from the environment, once, at start-up."""

    port: Annotated[int, Field(ge=0, le=65_535)] = 8001
    incident_management_url: HTTPURL = "http://127.0.0.1:8002"
    """Where incident-management is reached."""
    correlate_timeout_seconds: Seconds = 0.5
    """How long incident management may take while a sender waits; then it is answered 202, and told later."""
    breaker_seconds: Seconds = 1.0
    """For how long nobody is made to wait once incident management has failed three times in a row."""
    commit_patience_seconds: Seconds = 3.0
    """For how long storing an alert is tried again while the database is away; then its sender is answered 503."""
    tell_grace_seconds: Seconds = 2.0
    """How long after its storing an alert that is still unknown to incident management is told by the sweeper."""
