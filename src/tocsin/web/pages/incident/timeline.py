"""The timeline of an incident: what happened, who did it, and the delivery status of each page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Self
from urllib.parse import urlencode
from uuid import UUID

from tocsin.contracts.incidents import EventType, Note, TimelineEntry
from tocsin.contracts.services import AUTO_RESOLVE
from tocsin.web.ui.deliveries import Delivery

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
DELIVERY_EVENTS: Final = frozenset({EventType.DELIVERED, EventType.DELIVERY_FAILED})
"""Shown below the page that they belong to, if that is known."""


@dataclass(frozen=True, slots=True)
class TimelineFilter:
    """Which entries are shown, as the address carries it."""

    show: Show = Show.ALL
    before: str = ""
    """A cursor; empty for the newest entries."""

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Self:
        """Parse the query of an address; invalid values are ignored."""
        show, before = query.get("show", ""), query.get("before", "")
        known = before.isascii() and before.isdecimal() and len(before) <= MAX_DIGITS
        return cls(Show(show) if show in set(Show) else Show.ALL, before if known else "")

    def query(self, *, show: str | None = None, before: str | None = None) -> str:
        """Return the query of an address with the given changes."""
        wanted = {
            "show": self.show.value if show is None else show,
            "before": self.before if before is None else before,
        }
        given = {name: value for name, value in wanted.items() if value not in {"", Show.ALL}}
        return f"?{urlencode(given)}" if given else ""


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """One line of the timeline."""

    id: UUID
    icon: str
    tone: str
    actor: str
    detail: str
    note: str
    """The full text of a note; empty for other entries."""
    deliveries: Sequence[Delivery]
    at: datetime


def timeline_of(
    entries: Sequence[TimelineEntry], notes: Sequence[Note], show: Show, deliveries: Mapping[str, Delivery]
) -> list[TimelineRow]:
    """Return the rows for *entries* that are shown, each page with the deliveries of its messages."""
    texts = {str(note.id): note.text for note in notes}
    shown = {key for entry in entries for key in _notification_ids(entry)} & deliveries.keys()
    return [
        _row(entry, texts, deliveries)
        for entry in entries
        if entry.event_type in SHOWN[show]
        and (show is not Show.PEOPLE or entry.actor != AUTO_RESOLVE)
        and (entry.event_type not in DELIVERY_EVENTS or entry.data.get("notification_id") not in shown)
    ]


def _row(entry: TimelineEntry, notes: Mapping[str, str], deliveries: Mapping[str, Delivery]) -> TimelineRow:
    is_note = entry.event_type is EventType.NOTE_ADDED
    return TimelineRow(
        id=entry.id,
        icon=ICONS[entry.event_type],
        tone=TONES.get(entry.event_type, ""),
        actor=entry.actor,
        detail=entry.detail,
        note=notes.get(str(entry.data.get("note_id")), entry.detail) if is_note else "",
        deliveries=[deliveries[key] for key in _notification_ids(entry) if key in deliveries],
        at=entry.created_at,
    )


def _notification_ids(entry: TimelineEntry) -> list[str]:
    """Return the notification ids of a `paged` entry, one for each channel."""
    channels = entry.data.get("channels") if entry.event_type is EventType.PAGED else None
    return (
        [str(item.get("notification_id")) for item in channels if isinstance(item, dict)]
        if isinstance(channels, list)
        else []
    )
