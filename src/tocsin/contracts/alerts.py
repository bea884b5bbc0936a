"""The wire models of alert-ingestion."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints, computed_field

from tocsin.contracts.model import Instant, Labels, Line, Model, Severity, SeverityIn, Text


class AlertStatus(StrEnum):
    """The status in the newest report of an alert."""

    FIRING = "firing"
    RESOLVED = "resolved"


class AlertAction(StrEnum):
    """The outcome of an alert, or of one report of it."""

    NEW_INCIDENT = "new_incident"
    ATTACHED = "attached_to_existing_incident"
    REPEATED = "repeated"
    """An alert with this key is open already; it keeps its incident."""
    RESOLVED = "resolved"
    IGNORED = "ignored"
    """A resolve without an open alert: stored, but it opens no incident."""
    PENDING = "pending"
    """Stored, not correlated yet: incident management did not respond in time."""


class Acceptance(StrEnum):
    """Whether an alert was correlated before the response."""

    CORRELATED = "correlated"
    ACCEPTED = "accepted"
    """Not yet: correlation continues in the background."""


class Link(Model):
    """A link to a runbook, a dashboard, or the sender's own page."""

    href: Annotated[Text, StringConstraints(max_length=2048, pattern=r"^https?://")]
    text: Annotated[Text, Field(max_length=256)] = ""


class AlertIn(Model):
    """An alert in Tocsin's own format."""

    service: Line
    severity: SeverityIn
    message: Annotated[Text, StringConstraints(min_length=1, max_length=65_536)]
    labels: Labels = {}
    timestamp: Instant | None = None
    """When the alert started, or was resolved, by the sender's clock; without an offset, in UTC."""
    dedup_key: Annotated[Text, StringConstraints(min_length=1, max_length=255)] | None = None
    """Reports with the same service and key update one alert until it is resolved."""
    status: AlertStatus = AlertStatus.FIRING
    source: Annotated[Text, Field(max_length=256)] | None = None
    links: Annotated[list[Link], Field(max_length=32)] = []


class AlertAccepted(Model):
    """The response to an alert, which is stored durably."""

    alert_id: UUID
    incident_id: UUID | None
    status: Acceptance
    action: AlertAction


class ReceivedAlert(Model):
    """The outcome of one alert of a batch."""

    alert_id: UUID
    incident_id: UUID | None
    action: AlertAction


class ReceivedAlerts(Model):
    """The response to a batch, in its order."""

    alerts: list[ReceivedAlert]


class Alert(Model):
    """A stored alert."""

    id: UUID
    service: str
    severity: Severity
    message: str
    status: AlertStatus
    labels: dict[str, str]
    links: list[Link]
    source: str | None
    integration: str
    """The integration that accepted it, such as `generic` or `alertmanager`."""
    dedup_key: str | None
    fingerprint: str
    occurrences: int
    incident_id: UUID | None
    action: AlertAction
    remark: str | None
    """How ingestion interpreted it: an unknown severity, a service taken from another label."""
    fired_at: Instant | None
    created_at: Instant
    last_seen_at: Instant
    resolved_at: Instant | None

    @computed_field  # type: ignore[prop-decorator] # mypy does not support decorated properties
    @property
    def receiver(self) -> str:
        """Equal to `integration`."""
        return self.integration


class AlertSummary(Model):
    """The outcome of the alerts of a time window."""

    alerts: int
    incidents: int
    """Their incidents, each counted once."""
    reports: int
    """Their reports, repeats included."""
    by_action: dict[AlertAction, int]
    cut_at: Instant | None
    """Only the newest 10,000 alerts are counted: when the oldest of them was stored; null if there are fewer."""


class RawRequest(Model):
    """A request as it was received."""

    id: UUID
    integration: str
    content_type: str
    body: str
    """Decoded as UTF-8, with U+FFFD for invalid bytes."""
    created_at: Instant

    @computed_field  # type: ignore[prop-decorator] # mypy does not support decorated properties
    @property
    def receiver(self) -> str:
        """Equal to `integration`."""
        return self.integration


class AlertDetail(Alert):
    """An alert with the request of its newest report."""

    request: RawRequest | None
    """Null once it is older than the retention of raw requests, and for callers who may not see it."""
    request_withheld: str | None = None
    """Why the caller may not see the request; null if they may."""
