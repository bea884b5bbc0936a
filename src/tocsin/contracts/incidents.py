"""The wire models of incident-management."""

from enum import StrEnum
from typing import Annotated, Final
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

from tocsin.contracts.alerts import AlertAction, AlertStatus
from tocsin.contracts.delivery_report import DeliveryReport
from tocsin.contracts.model import Document, Instant, Labels, Line, Model, Severity, SeverityIn, Text, without_nul

Title = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=512), AfterValidator(without_nul)
]
MAX_NOTE: Final = 16_384
"""The maximum number of characters of a note."""
NoteText = Annotated[Text, StringConstraints(min_length=1, max_length=MAX_NOTE)]
MAX_MOVED_ALERTS: Final = 100
"""The maximum number of moved alerts in an incident."""
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]


class IncidentStatus(StrEnum):
    """The state of an incident."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    IN_PROGRESS = "in_progress"
    RESOLVED = "resolved"


class IncidentSort(StrEnum):
    """The order of a list of incidents."""

    NEWEST = "newest"
    SEVERITY = "severity"
    """Most severe first, then newest."""


class EventType(StrEnum):
    """The type of a timeline entry."""

    CREATED = "created"
    ALERT_ATTACHED = "alert_attached"
    ALERT_RESOLVED = "alert_resolved"
    ALERT_MOVED = "alert_moved"
    """It was still firing after a person resolved this incident, and moved to another one."""
    ASSIGNED = "assigned"
    PAGED = "paged"
    ESCALATED = "escalated"
    NOBODY_ON_CALL = "nobody_on_call"
    DELIVERED = "delivered"
    DELIVERY_FAILED = "delivery_failed"
    ACKNOWLEDGED = "acknowledged"
    STATUS_CHANGED = "status_changed"
    SEVERITY_CHANGED = "severity_changed"
    TITLE_CHANGED = "title_changed"
    NOTE_ADDED = "note_added"
    RESOLVED = "resolved"


class OpenIncident(Model):
    """Open an incident by hand."""

    title: Title
    service: Line
    severity: SeverityIn
    description: Annotated[Text, Field(max_length=65_536)] | None = None
    assigned_to: Line | None = None
    actor: Line | None = None


class ChangeIncident(Model):
    """Change an incident; `notes` adds a note. A field that is not given keeps its value."""

    status: IncidentStatus | None = None
    notes: NoteText | None = None
    assigned_to: Line | None = None
    severity: SeverityIn | None = None
    title: Title | None = None
    actor: Line | None = None
    """Who makes the change; by default the `X-Actor` header."""


class IncidentSummary(Model):
    """An incident in a list."""

    id: UUID
    number: int
    """A short number for people; paths accept it instead of the id."""
    title: str
    description: str | None
    service: str
    severity: Severity
    status: IncidentStatus
    team: str | None
    assigned_to: str | None
    alert_count: int
    firing_count: int
    """Alerts that their sender has not resolved; one without a deduplication key counts, as it cannot be resolved."""
    version: int
    created_at: Instant
    updated_at: Instant
    acknowledged_at: Instant | None
    resolved_at: Instant | None
    mtta_seconds: float | None
    mttr_seconds: float | None

    @property
    def was_acknowledged(self) -> bool:
        """Whether a person acknowledged it: resolving an unacknowledged incident sets `acknowledged_at`, too."""
        return self.acknowledged_at is not None and self.acknowledged_at != self.resolved_at


class IncidentCounts(Model):
    """The number of unresolved incidents by state."""

    open: int = 0
    acknowledged: int = 0
    in_progress: int = 0


class IncidentAlert(Model):
    """An alert as it was last reported."""

    alert_id: UUID
    service: str
    severity: Severity
    message: str
    status: AlertStatus
    source: str | None
    labels: dict[str, str]
    dedup_key: str | None
    occurrences: int
    attached_at: Instant
    last_seen_at: Instant
    resolved_at: Instant | None


class MovedAlert(IncidentAlert):
    """An alert in the state in which it moved to another incident."""

    moved_at: Instant
    moved_to_id: UUID
    moved_to_number: int


class Note(Model):
    """A person's note."""

    id: UUID
    text: str
    author: str
    created_at: Instant


class TimelineEntry(DeliveryReport):
    """An event in the life of an incident."""

    id: UUID
    event_type: EventType
    actor: str
    created_at: Instant


class Incident(IncidentSummary):
    """One incident in detail."""

    alerts: list[IncidentAlert]
    """The newest 100. Of those that were deleted after the retention, the first and the last of four weeks are left."""
    alerts_total: int
    moved_alerts: list[MovedAlert] = []
    """The newest 100 that moved to another incident because they were still firing after this one was resolved."""
    notes: list[Note]
    timeline: list[TimelineEntry]
    """The newest 200, newest first."""
    timeline_cursor: str | None
    """For `GET /api/v1/incidents/{id}/timeline?cursor=`; null when the timeline is complete."""


class Durations(Model):
    """Mean, median and 95th percentile in seconds; null for a count of 0."""

    count: int
    mean_seconds: float | None
    median_seconds: float | None
    p95_seconds: float | None


class ServiceSummary(Model):
    """A service's figures in a summary."""

    service: str
    incidents: int
    mtta: Durations
    mttr: Durations


class PeriodSummary(Model):
    """A UTC day's figures in a summary."""

    starts_at: Instant
    incidents: int
    mtta: Durations
    mttr: Durations


class StatsSummary(Model):
    """Figures of the incidents created in a time range.

    Those of more than 5,000 incidents cover whole UTC days, and their percentiles are off by less than 6.25 %.
    """

    since: Instant
    until: Instant
    total: int
    by_status: dict[IncidentStatus, int]
    by_severity: dict[Severity, int]
    mtta: Durations
    mttr: Durations
    by_service: list[ServiceSummary]
    """The 50 services with most incidents."""
    over_time: list[PeriodSummary]
    as_of: Instant | None = None
    """Later changes may not be included yet; null if all are."""


class AlertState(Model):
    """The state of an alert. Ingestion sends states instead of events, so that retries and reordering are harmless."""

    alert_id: UUID
    version: Count
    status: AlertStatus
    service: Line
    severity: Severity
    message: Text
    labels: Labels = {}
    source: Text | None = None
    dedup_key: Text | None = None
    occurrences: Count = 1
    remark: Text | None = None
    fired_at: Instant | None = None
    last_seen_at: Instant
    trace_context: Text | None = None
    """The `traceparent` of the request that delivered it."""


class AlertsInUse(Model):
    """Whether an alert of a range belongs to an unresolved incident."""

    in_use: bool


class CorrelateAlerts(Model):
    """A batch of at most 1,000 alerts to correlate."""

    alerts: Annotated[list[AlertState], Field(max_length=1_000, fail_fast=True)]


class Correlation(Model):
    """The incident of an alert; null for a resolve without an open alert."""

    alert_id: UUID
    incident_id: UUID | None
    action: AlertAction
    joined: AlertAction | None = None
    """How the alert joined its incident: `new_incident` or `attached_to_existing_incident`. The first report needs
    it if a later one, of another replica, was correlated before it. Null from the release before this one."""


class Correlations(Model):
    """The results of a batch, in its order. An alert whose lock was not available in time is missing: send it again."""

    results: list[Correlation]


class AppendTimelineEntry(Model):
    """Another service's report about an incident. A repeated `event_key` has no effect."""

    event_key: Annotated[Text, StringConstraints(min_length=1, max_length=200)]
    event_type: EventType
    actor: Line
    detail: Annotated[Text, Field(max_length=4_096)]
    data: Document = {}


class QueryStates(Model):
    """Query the states of many incidents."""

    incident_ids: Annotated[list[UUID], Field(max_length=1_000, fail_fast=True)]


class IncidentStates(Model):
    """The states of incidents; unknown ids are left out."""

    states: dict[UUID, IncidentStatus]
    answered_at: dict[UUID, Instant] = {}
    """When each of those that are not open was acknowledged; absent in responses of the previous release."""
