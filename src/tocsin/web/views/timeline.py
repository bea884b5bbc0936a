"""The timeline of an incident: what happened, who did it, and how each page fared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Self
from urllib.parse import urlencode
from uuid import UUID

from tocsin.contracts.incidents import EventType, Note, TimelineEntry
from tocsin.web.views.deliveries import Delivery

ICONS: Final = {
    EventType.CREATED: "bell",
    EventType.ALERT_ATTACHED: "inbox",
    EventType.ALERT_RESOLVED: "check",
    EventType.ALERT_MOVED: "inbox",
    EventType.ASSIGNED: "user",
    EventType.PAGED: "send",
    EventType.ESCALATED: "up",
    EventType.NOBODY_ON_CALL: "warn",
    EventType.DELIVERED: "check",
    EventType.DELIVERY_FAILED: "cross",
    EventType.ACKNOWLEDGED: "acknowledged",
    EventType.STATUS_CHANGED: "in_progress",
    EventType.SEVERITY_CHANGED: "warn",
    EventType.TITLE_CHANGED: "note",
    EventType.NOTE_ADDED: "note",
    EventType.RESOLVED: "resolved",
}
TONES: Final = {
    EventType.CREATED: "open",
    EventType.PAGED: "open",
    EventType.ESCALATED: "high",
    EventType.NOBODY_ON_CALL: "critical",
    EventType.DELIVERY_FAILED: "critical",
    EventType.ACKNOWLEDGED: "acknowledged",
    EventType.STATUS_CHANGED: "in_progress",
    EventType.RESOLVED: "resolved",
}

MAX_DIGITS: Final = 18


class Show(StrEnum):
    """Which part of the timeline."""

    ALL = "all"
    PEOPLE = "people"
    PAGES = "pages"


SHOWN: Final = {
    Show.ALL: frozenset(EventType),
    Show.PEOPLE: frozenset(
        {
            EventType.ACKNOWLEDGED,
            EventType.STATUS_CHANGED,
            EventType.SEVERITY_CHANGED,
            EventType.TITLE_CHANGED,
            EventType.NOTE_ADDED,
            EventType.RESOLVED,
        }
    ),
    Show.PAGES: frozenset(
        {
            EventType.ASSIGNED,
            EventType.PAGED,
            EventType.ESCALATED,
            EventType.NOBODY_ON_CALL,
            EventType.DELIVERED,
            EventType.DELIVERY_FAILED,
        }
    ),
}
ENDINGS: Final = frozenset({EventType.DELIVERED, EventType.DELIVERY_FAILED})
"""How a message ended: said under the page that it belongs to, where that is known."""


@dataclass(frozen=True, slots=True)
class Look:
    """Which entries are looked at: what the address of the page says."""

    show: Show = Show.ALL
    before: str = ""
    """A cursor; empty for the newest."""

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Self:
        """Read an address; what it cannot mean is left out."""
        show, before = query.get("show", ""), query.get("before", "")
        known = before.isascii() and before.isdecimal() and len(before) <= MAX_DIGITS
        return cls(Show(show) if show in set(Show) else Show.ALL, before if known else "")

    def query(self, *, show: str | None = None, before: str | None = None) -> str:
        """Write it for an address, with what is given changed."""
        wanted = {
            "show": self.show.value if show is None else show,
            "before": self.before if before is None else before,
        }
        given = {name: value for name, value in wanted.items() if value not in {"", Show.ALL}}
        return f"?{urlencode(given)}" if given else ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the timeline."""

    id: UUID
    icon: str
    tone: str
    actor: str
    detail: str
    note: str
    """What a person wrote, whole; empty for anything but a note."""
    deliveries: Sequence[Delivery]
    at: datetime


def timeline_of(
    entries: Sequence[TimelineEntry], notes: Sequence[Note], show: Show, deliveries: Mapping[str, Delivery]
) -> list[Entry]:
    """Return the lines of *entries* that are to be shown, each page with what became of its messages."""
    texts = {str(note.id): note.text for note in notes}
    drawn = {key for entry in entries for key in _messages_of(entry)} & deliveries.keys()
    return [
        _entry(entry, texts, deliveries)
        for entry in entries
        if entry.event_type in SHOWN[show]
        and (entry.event_type not in ENDINGS or entry.data.get("notification_id") not in drawn)
    ]


def _entry(entry: TimelineEntry, notes: Mapping[str, str], deliveries: Mapping[str, Delivery]) -> Entry:
    is_note = entry.event_type is EventType.NOTE_ADDED
    return Entry(
        id=entry.id,
        icon=ICONS[entry.event_type],
        tone=TONES.get(entry.event_type, ""),
        actor=entry.actor,
        detail=entry.detail,
        note=notes.get(str(entry.data.get("note_id")), entry.detail) if is_note else "",
        deliveries=[deliveries[key] for key in _messages_of(entry) if key in deliveries],
        at=entry.created_at,
    )


def _messages_of(entry: TimelineEntry) -> list[str]:
    """Return the delivery ids that a `paged` entry names, one a channel."""
    channels = entry.data.get("channels") if entry.event_type is EventType.PAGED else None
    return (
        [str(item.get("notification_id")) for item in channels if isinstance(item, dict)]
        if isinstance(channels, list)
        else []
    )
