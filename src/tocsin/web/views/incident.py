"""The view of one incident: its life, what can be done now, its alerts, its timeline, its paging."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from tocsin.contracts.alerts import Alert, AlertStatus, Link
from tocsin.contracts.incidents import (
    EventType,
    Incident,
    IncidentAlert,
    IncidentStatus,
    IncidentSummary,
    TimelineEntry,
)
from tocsin.contracts.model import Page
from tocsin.contracts.notifications import Notification
from tocsin.contracts.oncall import Escalation
from tocsin.web.views import words
from tocsin.web.views.answer import Answer
from tocsin.web.views.away import Degraded
from tocsin.web.views.deliveries import Delivery, delivery_of
from tocsin.web.views.paging import Paging, paging_of
from tocsin.web.views.responders import Responder, responders_of

ORDER: Final = tuple(IncidentStatus)
ALERTS_SHOWN: Final = 10
"""How many alerts stand open; the others are folded away."""
LABELS_SHOWN: Final = 8
LINKS_SHOWN: Final = 8
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
EARLIER: Final = 3
"""How many earlier incidents of the service are shown."""
ENDINGS: Final = frozenset({EventType.DELIVERED, EventType.DELIVERY_FAILED})
"""How a message ended: said under the page that it belongs to, where that is known."""


@dataclass(frozen=True, slots=True)
class Step:
    """One state in the life of an incident."""

    status: IncidentStatus
    word: str
    state: str
    """`done`, `current` or empty."""
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Action:
    """Something that can be done now."""

    verb: str
    """The last part of the form's address."""
    word: str
    icon: str


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


@dataclass(frozen=True, slots=True)
class IncidentView:
    """All that the page shows."""

    at: datetime
    incident: Incident
    age: float
    steps: list[Step]
    actions: list[Action]
    answered_by: str
    resolved_by: str
    paging: Paging | None
    paging_fresh: bool
    alerts: Sequence[IncidentAlert]
    folded_alerts: Sequence[IncidentAlert]
    recovered: int
    senders: list[str]
    links: list[Link]
    """Where the senders say to look, each once."""
    timeline: list[Entry]
    show: Show
    responders: list[Responder]
    earlier: list[IncidentSummary]
    """Incidents of the same service that are resolved, the newest first."""
    degraded: Degraded


@dataclass(frozen=True, slots=True)
class Seen:
    """What the services said beside the incident itself."""

    escalation: Answer[dict[UUID, Escalation]]
    sent: Page[Notification] | None
    alerts: Page[Alert] | None
    earlier: Page[IncidentSummary] | None


def incident_of(incident: Incident, seen: Seen, show: Show, degraded: Degraded, at: datetime) -> IncidentView:
    """Build the view of *incident*, as of *at*."""
    escalation = seen.escalation
    found = (escalation.value or {}).get(incident.id)
    deliveries = _deliveries(seen.sent.items if seen.sent else [], at)
    earlier = [item for item in (seen.earlier.items if seen.earlier else []) if item.id != incident.id]
    return IncidentView(
        at=at,
        incident=incident,
        age=words.since(incident.created_at, incident.resolved_at or at),
        steps=_steps(incident),
        actions=ACTIONS[incident.status],
        answered_by=_actor(incident, {EventType.ACKNOWLEDGED, EventType.STATUS_CHANGED, EventType.RESOLVED}),
        resolved_by=_actor(incident, {EventType.RESOLVED}),
        paging=paging_of(found, at) if found else None,
        paging_fresh=escalation.fresh,
        alerts=incident.alerts[:ALERTS_SHOWN],
        folded_alerts=incident.alerts[ALERTS_SHOWN:],
        recovered=sum(alert.status is AlertStatus.RESOLVED for alert in incident.alerts),
        senders=sorted({alert.source for alert in incident.alerts if alert.source}),
        timeline=_timeline(incident, SHOWN[show], deliveries),
        show=show,
        responders=responders_of(incident, found),
        links=_links(seen.alerts.items if seen.alerts else []),
        earlier=earlier[:EARLIER],
        degraded=degraded,
    )


def _links(told: Sequence[Alert]) -> list[Link]:
    found = {link.href: link for alert in reversed(told) for link in alert.links}
    return list(found.values())[:LINKS_SHOWN]


def _steps(incident: Incident) -> list[Step]:
    reached = ORDER.index(incident.status)
    times = {
        IncidentStatus.OPEN: incident.created_at,
        IncidentStatus.ACKNOWLEDGED: incident.acknowledged_at,
        IncidentStatus.IN_PROGRESS: _time_of(incident, EventType.STATUS_CHANGED),
        IncidentStatus.RESOLVED: incident.resolved_at,
    }
    return [
        Step(
            status=status,
            word=words.STATUS_WORDS[status],
            state="current" if rank == reached else "done" if rank < reached and times[status] else "",
            at=times[status] if rank <= reached else None,
        )
        for rank, status in enumerate(ORDER)
    ]


def _time_of(incident: Incident, event_type: EventType) -> datetime | None:
    return next((entry.created_at for entry in incident.timeline if entry.event_type is event_type), None)


def _actor(incident: Incident, event_types: set[EventType]) -> str:
    """Return who was the first to do one of *event_types*; the timeline is newest first."""
    return next((entry.actor for entry in reversed(incident.timeline) if entry.event_type in event_types), "")


ACKNOWLEDGE: Final = Action("acknowledge", "Acknowledge", "check")
START: Final = Action("start", "Start work", "in_progress")
RESOLVE: Final = Action("resolve", "Resolve", "resolved")
ESCALATE: Final = Action("escalate", "Escalate", "up")
ACTIONS: Final = {
    IncidentStatus.OPEN: [ACKNOWLEDGE, RESOLVE, START, ESCALATE],
    IncidentStatus.ACKNOWLEDGED: [RESOLVE, START],
    IncidentStatus.IN_PROGRESS: [RESOLVE],
    IncidentStatus.RESOLVED: [],
}
"""What can be done in each state, the expected first."""


def _deliveries(sent: Sequence[Notification], at: datetime) -> Mapping[str, Delivery]:
    return {str(message.id): delivery_of(message, at) for message in sent}


def _timeline(incident: Incident, shown: frozenset[EventType], deliveries: Mapping[str, Delivery]) -> list[Entry]:
    notes = {str(note.id): note.text for note in incident.notes}
    drawn = {key for entry in incident.timeline for key in _messages_of(entry)} & deliveries.keys()
    return [
        _entry(entry, notes, deliveries)
        for entry in incident.timeline
        if entry.event_type in shown
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
