"""What people and services exchange with incident-management."""

from enum import StrEnum
from math import isfinite
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, Field, JsonValue, StringConstraints

from tocsin.contracts.alerts import AlertAction, AlertStatus
from tocsin.contracts.model import Instant, Labels, Line, Model, Severity, SeverityIn, Text, without_nul

Title = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=512), AfterValidator(without_nul)
]
NoteText = Annotated[Text, StringConstraints(min_length=1, max_length=16_384)]
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]


def storable(value: JsonValue) -> JsonValue:
    """Replace NUL in every text; raise ValueError for a number that JSON cannot say (1e999 is read as infinity)."""
    if isinstance(value, str):
        return without_nul(value)
    if isinstance(value, list):
        return [storable(item) for item in value]
    if isinstance(value, dict):
        return {without_nul(key): storable(item) for key, item in value.items()}
    if isinstance(value, float) and not isfinite(value):
        msg = "a number is too large"
        raise ValueError(msg)
    return value


Document = Annotated[dict[str, JsonValue], AfterValidator(storable)]
"""Any JSON object, as PostgreSQL's jsonb can keep it."""


class IncidentStatus(StrEnum):
    """Where an incident stands."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    IN_PROGRESS = "in_progress"
    RESOLVED = "resolved"


class EventType(StrEnum):
    """What a timeline entry says happened."""

    CREATED = "created"
    ALERT_ATTACHED = "alert_attached"
    ALERT_RESOLVED = "alert_resolved"
    ALERT_MOVED = "alert_moved"
    """It still fires though a person resolved this incident: it belongs to another one now."""
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
    """Change an incident: any of these fields; `notes` adds a note. What is not given stays."""

    status: IncidentStatus | None = None
    notes: NoteText | None = None
    assigned_to: Line | None = None
    severity: SeverityIn | None = None
    title: Title | None = None
    actor: Line | None = None
    """Who acts; the `X-Actor` header says it as well."""


class IncidentSummary(Model):
    """An incident as a list shows it."""

    id: UUID
    number: int
    """A small number that people can say aloud; paths take it in place of the id."""
    title: str
    description: str | None
    service: str
    severity: Severity
    status: IncidentStatus
    team: str | None
    assigned_to: str | None
    alert_count: int
    firing_count: int
    """Alerts that their sender has not resolved; one without a key counts for ever."""
    version: int
    created_at: Instant
    updated_at: Instant
    acknowledged_at: Instant | None
    resolved_at: Instant | None
    mtta_seconds: float | None
    mttr_seconds: float | None


class IncidentCounts(Model):
    """How many incidents are not resolved, by state."""

    open: int = 0
    acknowledged: int = 0
    in_progress: int = 0


class IncidentAlert(Model):
    """An alert as incident management last heard of it."""

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


class Note(Model):
    """Something a person wrote down."""

    id: UUID
    text: str
    author: str
    created_at: Instant


class TimelineEntry(Model):
    """One thing that happened, in words and as data."""

    id: UUID
    event_type: EventType
    actor: str
    detail: str
    data: dict[str, Any]
    created_at: Instant


class Incident(IncidentSummary):
    """One incident, whole."""

    alerts: list[IncidentAlert]
    """The newest 100."""
    alerts_total: int
    notes: list[Note]
    timeline: list[TimelineEntry]
    """The newest 200, newest first."""
    timeline_cursor: str | None
    """For `GET /api/v1/incidents/{id}/timeline?cursor=`; null when all are here."""


class Durations(Model):
    """Mean, median and 95th percentile in seconds; null where nothing was measured."""

    count: int
    mean_seconds: float | None
    median_seconds: float | None
    p95_seconds: float | None


class ServiceSummary(Model):
    """One service's part in a summary."""

    service: str
    incidents: int
    mtta: Durations
    mttr: Durations


class PeriodSummary(Model):
    """One day's (UTC) part in a summary."""

    starts_at: Instant
    incidents: int
    mtta: Durations
    mttr: Durations


class StatsSummary(Model):
    """How well it went, for incidents created in a window."""

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


class AlertState(Model):
    """The state of one alert, told by ingestion: the state, not the event, so that repeats and order do not matter."""

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
    trace_context: str | None = None
    """The `traceparent` of the request that brought it."""


class CorrelateAlerts(Model):
    """A batch of alerts' states, at most 5,000."""

    alerts: Annotated[list[AlertState], Field(max_length=5_000)]


class Correlation(Model):
    """Which incident an alert belongs to; none for a resolve that never fired."""

    alert_id: UUID
    incident_id: UUID | None
    action: AlertAction


class Correlations(Model):
    """The answer to a batch, in its order. What is missing was held up by something else: tell it again."""

    results: list[Correlation]


class AppendTimelineEntry(Model):
    """What another service reports of an incident. A repeated `event_key` has no effect."""

    event_key: Annotated[Text, StringConstraints(min_length=1, max_length=200)]
    event_type: EventType
    actor: Line
    detail: Annotated[Text, Field(max_length=4_096)]
    data: Document = {}


class AskStates(Model):
    """Ask how incidents stand, many at once."""

    incident_ids: Annotated[list[UUID], Field(max_length=1_000)]


class IncidentStates(Model):
    """How they stand; one that does not exist is missing."""

    states: dict[UUID, IncidentStatus]
    answered_at: dict[UUID, Instant] = {}
    """When somebody answered for those that are not open; the release before leaves it out."""


class IncidentEvent(Model):
    """One change of an incident, as the stream sends it."""

    incident_id: UUID
    number: int
    event_type: EventType
    title: str
    service: str
    severity: Severity
    status: IncidentStatus
    actor: str
    detail: str
    created_at: Instant
