"""The view of one incident: status, actions, alerts, timeline, paging."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from tocsin.contracts.alerts import Alert, Link
from tocsin.contracts.escalations import Escalation
from tocsin.contracts.incidents import (
    EventType,
    Incident,
    IncidentAlert,
    IncidentStatus,
    IncidentSummary,
    MovedAlert,
    TimelineEntry,
)
from tocsin.contracts.model import Page
from tocsin.contracts.notifications import Notification
from tocsin.contracts.services import AUTO_RESOLVE
from tocsin.web.pages.incident.postmortem import incidents_moved_to, moved_count
from tocsin.web.pages.incident.responders import Responder, responders_of
from tocsin.web.pages.incident.timeline import TimelineFilter, TimelineRow, timeline_of
from tocsin.web.ui import format as fmt
from tocsin.web.ui.cached import Cached
from tocsin.web.ui.deliveries import delivery_of
from tocsin.web.ui.escalation_progress import Paging, paging_of
from tocsin.web.ui.outages import Outages

ORDER: Final = tuple(IncidentStatus)
ALERTS_SHOWN: Final = 10
"""Alerts that are visible; the others are collapsed."""
ALERTS_RETURNED: Final = 100
"""The number of an incident's alerts that incident management returns; fewer if others have been deleted."""
LINKS_SHOWN: Final = 8
EARLIER: Final = 3
"""Earlier incidents of the service that are shown."""


@dataclass(frozen=True, slots=True)
class StatusStep:
    """One status in the life of an incident."""

    status: IncidentStatus
    label: str
    state: str
    """`done`, `current` or empty."""
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Action:
    """An action that the status allows."""

    verb: str
    """The last part of the form's address."""
    label: str
    icon: str
    key: str = ""
    """Its keyboard shortcut, if it has one."""


@dataclass(frozen=True, slots=True)
class IncidentView:
    """All that the page shows."""

    at: datetime
    incident: Incident
    age: float
    steps: list[StatusStep]
    actions: list[Action]
    acknowledged_by: str
    resolved_by: str
    paging: Paging | None
    paging_fresh: bool
    alerts: Sequence[IncidentAlert]
    folded_alerts: Sequence[IncidentAlert]
    deleted_alerts: int
    """The number of alerts that were deleted after the retention."""
    moved: Sequence[MovedAlert]
    """The newest alerts that moved to another incident."""
    moved_to: list[int]
    """The numbers of the incidents that they moved to."""
    moved_count: str
    """The number of alerts that moved, such as `100+`."""
    senders: list[str]
    links: list[Link]
    """Links from the senders, each once."""
    timeline: list[TimelineRow]
    timeline_filter: TimelineFilter
    older: str
    """The cursor of the entries before these; empty if there are none."""
    responders: list[Responder]
    earlier: list[IncidentSummary]
    """Resolved incidents of the same service, the newest first."""
    outages: Outages


@dataclass(frozen=True, slots=True)
class IncidentData:
    """What the services returned; None where one is unavailable."""

    at: datetime
    incident: Incident
    timeline_filter: TimelineFilter
    escalation: Cached[dict[UUID, Escalation]]
    messages: Page[Notification] | None
    alerts: Page[Alert] | None
    earlier: Page[IncidentSummary]
    open_count: int
    """The number of unacknowledged incidents."""
    older_entries: Page[TimelineEntry] | None
    """A page of older timeline entries; None for the newest, which are part of the incident."""
    outages: Outages


def incident_view(data: IncidentData) -> IncidentView:
    """Return the page's view of *data*."""
    incident, at = data.incident, data.at
    escalation = (data.escalation.value or {}).get(incident.id)
    deliveries = {
        str(message.id): delivery_of(message, at) for message in (data.messages.items if data.messages else [])
    }
    entries, older = incident.timeline, incident.timeline_cursor
    if data.older_entries is not None:
        entries, older = data.older_entries.items, data.older_entries.next_cursor
    earlier = [item for item in data.earlier.items if item.id != incident.id]
    return IncidentView(
        at=at,
        incident=incident,
        age=fmt.since(incident.created_at, incident.resolved_at or at),
        steps=_steps(incident),
        actions=ACTIONS[incident.status],
        acknowledged_by=_actor(incident, {EventType.ACKNOWLEDGED, EventType.STATUS_CHANGED, EventType.RESOLVED}),
        resolved_by=_actor(incident, {EventType.RESOLVED}),
        paging=paging_of(escalation, at) if escalation else None,
        paging_fresh=data.escalation.fresh,
        alerts=incident.alerts[:ALERTS_SHOWN],
        folded_alerts=incident.alerts[ALERTS_SHOWN:],
        deleted_alerts=_deleted_alerts(incident),
        moved=incident.moved_alerts[:ALERTS_SHOWN],
        moved_to=incidents_moved_to(incident),
        moved_count=moved_count(incident),
        senders=sorted({alert.source for alert in incident.alerts if alert.source}),
        timeline=timeline_of(entries, incident.notes, data.timeline_filter.show, deliveries),
        timeline_filter=data.timeline_filter,
        older=older or "",
        responders=responders_of(incident, escalation),
        links=_links(data.alerts.items if data.alerts else []),
        earlier=earlier[:EARLIER],
        outages=data.outages,
    )


def _deleted_alerts(incident: Incident) -> int:
    returned = len(incident.alerts)
    if incident.status is not IncidentStatus.RESOLVED or returned == ALERTS_RETURNED:
        return 0
    return max(0, incident.alerts_total - returned)


def _links(alerts: Sequence[Alert]) -> list[Link]:
    found = {link.href: link for alert in reversed(alerts) for link in alert.links}
    return list(found.values())[:LINKS_SHOWN]


def _steps(incident: Incident) -> list[StatusStep]:
    reached = ORDER.index(incident.status)
    times = {
        IncidentStatus.OPEN: incident.created_at,
        IncidentStatus.ACKNOWLEDGED: incident.acknowledged_at if incident.was_acknowledged else None,
        IncidentStatus.IN_PROGRESS: _time_of(incident, EventType.STATUS_CHANGED),
        IncidentStatus.RESOLVED: incident.resolved_at,
    }
    return [
        StatusStep(
            status=status,
            label=fmt.STATUS_LABELS[status],
            state="current" if rank == reached else "done" if rank < reached and times[status] else "",
            at=times[status] if rank <= reached else None,
        )
        for rank, status in enumerate(ORDER)
    ]


def _time_of(incident: Incident, event_type: EventType) -> datetime | None:
    return next((entry.created_at for entry in incident.timeline if entry.event_type is event_type), None)


def _actor(incident: Incident, event_types: set[EventType]) -> str:
    """Return who caused the first entry of *event_types*; the timeline is newest first. Empty if no person did."""
    actors = (entry.actor for entry in reversed(incident.timeline) if entry.event_type in event_types)
    return next((actor for actor in actors if actor != AUTO_RESOLVE), "")


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
"""What each status allows, the most likely first."""
