"""The people involved in an incident: paged, acknowledging, commenting."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tocsin.contracts.escalations import CATCH_ALL_PERSON, Escalation
from tocsin.contracts.incidents import EventType, Incident, IncidentStatus
from tocsin.contracts.services import AUTO_RESOLVE
from tocsin.web.ui import format as fmt
from tocsin.web.ui.outages import NAMES

ACTIONS: Final = {
    EventType.RESOLVED: ("ok", "check", "Resolved it"),
    EventType.STATUS_CHANGED: ("in_progress", "in_progress", "Working on it"),
    EventType.ACKNOWLEDGED: ("acknowledged", "acknowledged", "Acknowledged it"),
}
"""What a person did, the most significant first."""
NOT_PEOPLE: Final = frozenset({*NAMES, AUTO_RESOLVE, CATCH_ALL_PERSON})


@dataclass(frozen=True, slots=True)
class Responder:
    """One person."""

    name: str
    tone: str
    icon: str
    label: str
    """Empty if they only wrote notes."""
    notes: str
    """Such as `2 notes`; empty if there are none."""


def responders_of(incident: Incident, escalation: Escalation | None) -> list[Responder]:
    """Return the people of *incident*: those who acted, then those who were paged, then those who wrote."""
    done = {action: _actors(incident, action) for action in ACTIONS}
    paged = list(dict.fromkeys(page.person for page in escalation.pages)) if escalation else []
    wrote = Counter(note.author for note in incident.notes)
    people = dict.fromkeys([*(name for names in done.values() for name in names), *paged, *wrote])
    return [
        _responder(name, done, name in paged, wrote[name], incident.status) for name in people if name not in NOT_PEOPLE
    ]


def _actors(incident: Incident, action: EventType) -> Sequence[str]:
    return [entry.actor for entry in incident.timeline if entry.event_type is action]


def _responder(
    name: str,
    done: dict[EventType, Sequence[str]],
    paged: bool,  # noqa: FBT001 - one of several facts about one person
    notes: int,
    status: IncidentStatus,
) -> Responder:
    tone, icon, label = "", "", ""
    if paged:
        open_ = status is IncidentStatus.OPEN
        tone, icon, label = ("wait", "clock", "Paged, unacknowledged") if open_ else ("mute", "send", "Paged")
    tone, icon, label = next((ACTIONS[action] for action in ACTIONS if name in done[action]), (tone, icon, label))
    return Responder(name, tone, icon, label, fmt.count(notes, "note") if notes else "")
