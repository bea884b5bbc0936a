"""The view of one incident: its life, what can be done now, its alerts, its timeline, its paging."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from tocsin.contracts.alerts import Alert, AlertStatus, Link
from tocsin.contracts.escalations import Escalation
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
from tocsin.web.views import words
from tocsin.web.views.answer import Answer
from tocsin.web.views.away import Degraded
from tocsin.web.views.deliveries import Delivery, delivery_of
from tocsin.web.views.paging import Paging, paging_of
from tocsin.web.views.responders import Responder, responders_of
from tocsin.web.views.timeline import Entry, Look, timeline_of

ORDER: Final = tuple(IncidentStatus)
ALERTS_SHOWN: Final = 10
"""How many alerts stand open; the others are folded away."""
LABELS_SHOWN: Final = 8
LINKS_SHOWN: Final = 8
EARLIER: Final = 3
"""How many earlier incidents of the service are shown."""


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
    key: str = ""
    """The single key that does it, if one does."""


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
    look: Look
    older: str
    """The cursor of the entries before these; empty where there are none."""
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
    older: Page[TimelineEntry] | None
    """The part of the timeline that was asked for; None for its end, which the incident comes with."""


def incident_of(incident: Incident, seen: Seen, look: Look, degraded: Degraded, at: datetime) -> IncidentView:
    """Build the view of *incident*, as of *at*."""
    escalation = seen.escalation
    found = (escalation.value or {}).get(incident.id)
    deliveries = _deliveries(seen.sent.items if seen.sent else [], at)
    entries, older = incident.timeline, incident.timeline_cursor
    if seen.older is not None:
        entries, older = seen.older.items, seen.older.next_cursor
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
        timeline=timeline_of(entries, incident.notes, look.show, deliveries),
        look=look,
        older=older or "",
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


ACKNOWLEDGE: Final = Action("acknowledge", "Acknowledge", "check", "a")
START: Final = Action("start", "Start work", "in_progress")
RESOLVE: Final = Action("resolve", "Resolve", "resolved", "r")
ESCALATE: Final = Action("escalate", "Escalate", "up", "e")
ACTIONS: Final = {
    IncidentStatus.OPEN: [ACKNOWLEDGE, RESOLVE, START, ESCALATE],
    IncidentStatus.ACKNOWLEDGED: [RESOLVE, START],
    IncidentStatus.IN_PROGRESS: [RESOLVE],
    IncidentStatus.RESOLVED: [],
}
"""What can be done in each state, the expected first."""


def _deliveries(sent: Sequence[Notification], at: datetime) -> Mapping[str, Delivery]:
    return {str(message.id): delivery_of(message, at) for message in sent}
