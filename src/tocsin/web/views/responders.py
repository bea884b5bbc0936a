"""Who has to do with an incident: who was paged, who answered, who wrote."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tocsin.contracts.escalations import Escalation
from tocsin.contracts.incidents import EventType, Incident, IncidentStatus
from tocsin.web.views import words
from tocsin.web.views.away import NAMES

DEEDS: Final = {
    EventType.RESOLVED: ("ok", "check", "Resolved it"),
    EventType.STATUS_CHANGED: ("in_progress", "in_progress", "Works on it"),
    EventType.ACKNOWLEDGED: ("acknowledged", "acknowledged", "Answered"),
}
"""What a person did, the most telling first."""
SHOWN: Final = 12


@dataclass(frozen=True, slots=True)
class Responder:
    """One person."""

    name: str
    tone: str
    icon: str
    word: str
    """Empty where all they did is write."""
    notes: str
    """Such as `2 notes`; empty without."""


def responders_of(incident: Incident, escalation: Escalation | None) -> list[Responder]:
    """Return the people of *incident*, who acted first and who was paged after them."""
    done = {deed: _actors(incident, deed) for deed in DEEDS}
    paged = list(dict.fromkeys(page.person for page in escalation.pages)) if escalation else []
    wrote = Counter(note.author for note in incident.notes)
    people = dict.fromkeys([*(name for names in done.values() for name in names), *paged, *wrote])
    return [_responder(name, done, name in paged, wrote[name], incident.status) for name in list(people)[:SHOWN]]


def _actors(incident: Incident, deed: EventType) -> Sequence[str]:
    return [entry.actor for entry in incident.timeline if entry.event_type is deed and entry.actor not in NAMES]


def _responder(
    name: str,
    done: dict[EventType, Sequence[str]],
    paged: bool,  # noqa: FBT001 - one of several facts of one person
    notes: int,
    status: IncidentStatus,
) -> Responder:
    tone, icon, word = "", "", ""
    if paged:
        open_ = status is IncidentStatus.OPEN
        tone, icon, word = ("wait", "clock", "Paged, no answer") if open_ else ("mute", "send", "Paged")
    tone, icon, word = next((DEEDS[deed] for deed in DEEDS if name in done[deed]), (tone, icon, word))
    return Responder(name, tone, icon, word, words.count(notes, "note") if notes else "")
