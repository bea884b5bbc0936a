"""Who brought an incident where it stands, and when: what a person is told whose change came too late."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tocsin.contracts.incidents import EventType, Incident, IncidentStatus
from tocsin.web.views import words

EVENTS: Final = {
    IncidentStatus.OPEN: EventType.CREATED,
    IncidentStatus.ACKNOWLEDGED: EventType.ACKNOWLEDGED,
    IncidentStatus.IN_PROGRESS: EventType.STATUS_CHANGED,
    IncidentStatus.RESOLVED: EventType.RESOLVED,
}
DID: Final = {
    IncidentStatus.ACKNOWLEDGED: "acknowledged it",
    IncidentStatus.IN_PROGRESS: "began to work on it",
    IncidentStatus.RESOLVED: "resolved it",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """The present state of an incident."""

    word: str
    """Such as `resolved`."""
    by: str
    """Empty where its timeline does not reach that far back."""
    at: datetime | None


def standing_of(incident: Incident) -> Standing:
    """Read the state of *incident* and who made it so."""
    event_type = EVENTS[incident.status]
    entry = next((entry for entry in incident.timeline if entry.event_type is event_type), None)
    known = {IncidentStatus.ACKNOWLEDGED: incident.acknowledged_at, IncidentStatus.RESOLVED: incident.resolved_at}
    at = known.get(incident.status) or (entry.created_at if entry else None)
    return Standing(words.STATUS_WORDS[incident.status].lower(), entry.actor if entry else "", at)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What stands above the present state after a click that changed nothing."""

    title: str
    detail: str
    who: str = ""
    """Who was first, with what they did; empty where nobody was."""
    at: datetime | None = None
    """When that was."""
    late: bool = False
    """Whether what was wanted is so, by somebody else."""


def overtaken(incident: Incident) -> Refusal | None:
    """Say who brought *incident* into its present state; None where its timeline does not."""
    standing = standing_of(incident)
    if not standing.by or incident.status is IncidentStatus.OPEN:
        return None
    title = f"Incident {incident.number} is already {standing.word}"
    return Refusal(title, "Nothing was changed.", f"{standing.by} {DID[incident.status]}", standing.at)
