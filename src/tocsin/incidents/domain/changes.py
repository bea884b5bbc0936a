"""The effect of a person's change on an incident: the new row and its timeline entries."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from tocsin.contracts.incidents import ChangeIncident, EventType, IncidentStatus
from tocsin.incidents.domain.incident import NewTimelineEntry, StoredIncident, excerpt
from tocsin.incidents.domain.states import StateTransition, plan_transition

EVENT_OF_STATUS = {
    IncidentStatus.ACKNOWLEDGED: (EventType.ACKNOWLEDGED, "Acknowledged."),
    IncidentStatus.IN_PROGRESS: (EventType.STATUS_CHANGED, "Work has begun: the status is in_progress."),
    IncidentStatus.RESOLVED: (EventType.RESOLVED, "Resolved."),
}


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """A change that is allowed. Without entries there is nothing to write."""

    incident: StoredIncident
    """After the change."""
    entries: tuple[NewTimelineEntry, ...]
    transition: StateTransition | None


def plan_change(
    incident: StoredIncident, wanted: ChangeIncident, *, actor: str, note_id: UUID, now: datetime
) -> PlannedChange:
    """Return the effect of *wanted*. Raise ConflictError for a transition that is not allowed."""
    transition = plan_transition(incident, wanted.status, now) if wanted.status else None
    entries = tuple(_entries(incident, wanted, transition, actor, note_id))
    changed = replace(
        incident,
        title=wanted.title or incident.title,
        severity=wanted.severity or incident.severity,
        assigned_to=wanted.assigned_to or incident.assigned_to,
        version=incident.version + bool(entries),
    )
    if transition is not None:
        changed = replace(
            changed,
            status=transition.status,
            acknowledged_at=transition.acknowledged_at,
            resolved_at=transition.resolved_at,
        )
    return PlannedChange(changed, entries, transition)


def status_entry(
    incident: StoredIncident, transition: StateTransition, *, actor: str, detail: str | None = None
) -> NewTimelineEntry:
    """Return the timeline entry of *transition*."""
    event_type, sentence = EVENT_OF_STATUS[transition.status]
    data = {
        "from": incident.status,
        "to": transition.status,
        "mtta_seconds": transition.mtta_seconds,
        "mttr_seconds": transition.mttr_seconds,
    }
    known = {key: value for key, value in data.items() if value is not None}
    return NewTimelineEntry(incident.id, event_type, actor, detail or sentence, known)


def _entries(
    incident: StoredIncident, wanted: ChangeIncident, transition: StateTransition | None, actor: str, note_id: UUID
) -> Iterator[NewTimelineEntry]:
    """Yield an entry for each changed field; the status comes last, because it may resolve the incident."""
    if wanted.title and wanted.title != incident.title:
        yield NewTimelineEntry(
            incident.id,
            EventType.TITLE_CHANGED,
            actor,
            f"Title changed to “{wanted.title}”.",
            {"from": incident.title, "to": wanted.title},
        )
    if wanted.severity and wanted.severity is not incident.severity:
        yield NewTimelineEntry(
            incident.id,
            EventType.SEVERITY_CHANGED,
            actor,
            f"Severity changed from {incident.severity} to {wanted.severity}.",
            {"from": incident.severity, "to": wanted.severity},
        )
    if wanted.assigned_to and wanted.assigned_to != incident.assigned_to:
        yield NewTimelineEntry(
            incident.id,
            EventType.ASSIGNED,
            actor,
            f"Assigned to {wanted.assigned_to}.",
            {"from": incident.assigned_to, "to": wanted.assigned_to},
        )
    if wanted.notes:
        yield NewTimelineEntry(
            incident.id, EventType.NOTE_ADDED, actor, excerpt(wanted.notes), {"note_id": str(note_id)}
        )
    if transition is not None:
        yield status_entry(incident, transition, actor=actor)
