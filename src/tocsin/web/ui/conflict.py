"""Report an action that was rejected, or that someone else did first."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tocsin.contracts.incidents import EventType, Incident, IncidentStatus
from tocsin.contracts.services import AUTO_RESOLVE
from tocsin.web.ui import format as fmt

EVENTS: Final = {
    IncidentStatus.OPEN: EventType.CREATED,
    IncidentStatus.ACKNOWLEDGED: EventType.ACKNOWLEDGED,
    IncidentStatus.IN_PROGRESS: EventType.STATUS_CHANGED,
    IncidentStatus.RESOLVED: EventType.RESOLVED,
}
ACTIONS: Final = {
    IncidentStatus.ACKNOWLEDGED: "acknowledged it",
    IncidentStatus.IN_PROGRESS: "started work on it",
    IncidentStatus.RESOLVED: "resolved it",
}


@dataclass(frozen=True, slots=True)
class CurrentState:
    """The status of an incident, and its last change."""

    label: str
    """Such as `resolved`."""
    by: str
    """Empty if its timeline does not reach back that far."""
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Rejection:
    """The notice above a page after an action that changed nothing."""

    title: str
    detail: str
    who: str = ""
    """Who acted first, and what they did; empty if nobody did."""
    at: datetime | None = None
    """When that was."""
    done_by_other: bool = False
    """Whether someone else has already done what was requested."""


def current_state(incident: Incident) -> CurrentState:
    """Return the status of *incident*, who set it, and when."""
    event_type = EVENTS[incident.status]
    entry = next((entry for entry in incident.timeline if entry.event_type is event_type), None)
    known = {IncidentStatus.ACKNOWLEDGED: incident.acknowledged_at, IncidentStatus.RESOLVED: incident.resolved_at}
    at = known.get(incident.status) or (entry.created_at if entry else None)
    by = "" if entry is None else "its senders" if entry.actor == AUTO_RESOLVE else entry.actor
    return CurrentState(fmt.STATUS_LABELS[incident.status].lower(), by, at)


def already_done(incident: Incident) -> Rejection | None:
    """Return a notice of who set the status of *incident*; None if its timeline does not reach back that far."""
    state = current_state(incident)
    if not state.by or incident.status is IncidentStatus.OPEN:
        return None
    title = f"Incident {incident.number} is already {state.label}"
    return Rejection(title, "Nothing was changed.", f"{state.by} {ACTIONS[incident.status]}", state.at)
