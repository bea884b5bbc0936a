"""The events of the stream of incidents."""

from uuid import UUID

from tocsin.contracts.incidents import EventType, IncidentStatus
from tocsin.contracts.model import Instant, Model, Severity


class IncidentEvent(Model):
    """A change of an incident in the stream."""

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
