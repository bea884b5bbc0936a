"""What senders and readers of alerts exchange with alert-ingestion."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from tocsin.contracts.model import Instant, Labels, Line, Model, Severity, SeverityIn, Text


class AlertStatus(StrEnum):
    """What the sender last said of an alert."""

    FIRING = "firing"
    RESOLVED = "resolved"


class AlertAction(StrEnum):
    """What became of an alert."""

    NEW_INCIDENT = "new_incident"
    ATTACHED = "attached_to_existing_incident"
    REPEATED = "repeated"
    """An alert of this key was open already; it keeps its incident."""
    RESOLVED = "resolved"
    IGNORED = "ignored"
    """A resolve without a fire: stored, opens nothing."""
    PENDING = "pending"
    """Stored, not yet correlated: incident management did not answer in time."""


class Acceptance(StrEnum):
    """How far an alert has come when its sender is answered."""

    CORRELATED = "correlated"
    ACCEPTED = "accepted"


class Link(Model):
    """Somewhere to look: a runbook, a dashboard, the sender's own page."""

    href: Annotated[Text, StringConstraints(max_length=2048, pattern=r"^https?://")]
    text: Annotated[Text, Field(max_length=256)] = ""


class AlertIn(Model):
    """An alert in Tocsin's own format."""

    service: Line
    severity: SeverityIn
    message: Annotated[Text, StringConstraints(min_length=1, max_length=65_536)]
    labels: Labels = {}
    timestamp: Instant | None = None
    """When it happened, by the sender's clock. An instant without offset is taken as UTC."""
    dedup_key: Annotated[Text, StringConstraints(min_length=1, max_length=255)] | None = None
    """Alerts of one key are one alert until it is resolved."""
    status: AlertStatus = AlertStatus.FIRING
    source: Annotated[Text, Field(max_length=256)] | None = None
    links: Annotated[list[Link], Field(max_length=32)] = []


class AlertAccepted(Model):
    """The answer to an alert: it is stored durably, and this is what became of it."""

    alert_id: UUID
    incident_id: UUID | None
    status: Acceptance
    action: AlertAction


class ReceivedAlert(Model):
    """What became of one alert of a sender's batch."""

    alert_id: UUID
    incident_id: UUID | None
    action: AlertAction


class ReceivedAlerts(Model):
    """The answer to a sender's batch, in its order."""

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
    receiver: str
    """The endpoint that took it: `generic` or `alertmanager`."""
    dedup_key: str | None
    fingerprint: str
    occurrences: int
    incident_id: UUID | None
    action: AlertAction
    remark: str | None
    """What ingestion had to decide, in words: an unknown severity, a service found in another label."""
    fired_at: Instant | None
    created_at: Instant
    last_seen_at: Instant
    resolved_at: Instant | None


class AlertSummary(Model):
    """What became of the alerts of a window."""

    alerts: int
    incidents: int
    """How many incidents they belong to."""
    reports: int
    """How often they were reported in all."""
    by_action: dict[AlertAction, int]
    cut_at: Instant | None
    """Where there were more than 10,000: since when these, the newest, came in. Null where all are counted."""


class RawRequest(Model):
    """A request as it came."""

    id: UUID
    receiver: str
    content_type: str
    body: str
    """UTF-8; bytes that are not are replaced by U+FFFD."""
    created_at: Instant


class AlertDetail(Alert):
    """One alert with the request that brought it."""

    request: RawRequest
