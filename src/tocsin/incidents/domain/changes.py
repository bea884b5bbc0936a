"""What a person's change does to an incident: its new row, and what the timeline says of it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from tocsin.contracts.incidents import ChangeIncident, EventType, IncidentStatus
from tocsin.incidents.domain.incident import Entry, StoredIncident, excerpt
from tocsin.incidents.domain.states import Step, take_step

EVENT_OF_STATUS = {
    IncidentStatus.ACKNOWLEDGED: (EventType.ACKNOWLEDGED, "Acknowledged."),
    IncidentStatus.IN_PROGRESS: (EventType.STATUS_CHANGED, "Work has begun: the status is in_progress."),
    IncidentStatus.RESOLVED: (EventType.RESOLVED, "Resolved."),
}


@dataclass(frozen=True, slots=True)
class Change:
    """A change that is allowed. Without entries there is nothing to write."""

    incident: StoredIncident
    """As it will be."""
    entries: tuple[Entry, ...]
    step: Step | None


def plan_change(
    incident: StoredIncident, wanted: ChangeIncident, *, actor: str, note_id: UUID, now: datetime
) -> Change:
    """Return what *wanted* changes, if anything. Raise ConflictError for a step that is not allowed."""
    step = take_step(incident, wanted.status, now) if wanted.status else None
    entries = tuple(_entries(incident, wanted, step, actor, note_id))
    changed = replace(
        incident,
        title=wanted.title or incident.title,
        severity=wanted.severity or incident.severity,
        assigned_to=wanted.assigned_to or incident.assigned_to,
        version=incident.version + bool(entries),
    )
    if step is not None:
        changed = replace(
            changed, status=step.status, acknowledged_at=step.acknowledged_at, resolved_at=step.resolved_at
        )
    return Change(changed, entries, step)


def status_entry(incident: StoredIncident, step: Step, *, actor: str, detail: str | None = None) -> Entry:
    """Return what the timeline says of *step*."""
    event_type, sentence = EVENT_OF_STATUS[step.status]
    data = {
        "from": incident.status,
        "to": step.status,
        "mtta_seconds": step.mtta_seconds,
        "mttr_seconds": step.mttr_seconds,
    }
    known = {key: value for key, value in data.items() if value is not None}
    return Entry(incident.id, event_type, actor, detail or sentence, known)


def _entries(
    incident: StoredIncident, wanted: ChangeIncident, step: Step | None, actor: str, note_id: UUID
) -> Iterator[Entry]:
    """Yield an entry for each thing that changes, the state last: it may be the end of the incident."""
    if wanted.title and wanted.title != incident.title:
        yield Entry(
            incident.id,
            EventType.TITLE_CHANGED,
            actor,
            f"Title changed to “{wanted.title}”.",
            {"from": incident.title, "to": wanted.title},
        )
    if wanted.severity and wanted.severity is not incident.severity:
        yield Entry(
            incident.id,
            EventType.SEVERITY_CHANGED,
            actor,
            f"Severity changed from {incident.severity} to {wanted.severity}.",
            {"from": incident.severity, "to": wanted.severity},
        )
    if wanted.assigned_to and wanted.assigned_to != incident.assigned_to:
        yield Entry(
            incident.id,
            EventType.ASSIGNED,
            actor,
            f"Assigned to {wanted.assigned_to}.",
            {"from": incident.assigned_to, "to": wanted.assigned_to},
        )
    if wanted.notes:
        yield Entry(incident.id, EventType.NOTE_ADDED, actor, excerpt(wanted.notes), {"note_id": str(note_id)})
    if step is not None:
        yield status_entry(incident, step, actor=actor)
