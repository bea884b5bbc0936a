"""Which incident each alert of a batch belongs to, and all that follows from it.

The rule of the product: an alert joins an incident of the same service and severity that is not resolved and was
created within the correlation window; else it opens one. An alert that is known already stays with its incident,
whatever the window says, unless a person resolved that incident while the sender still fires: then it moves.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID

from tocsin.contracts.alerts import AlertAction, AlertStatus
from tocsin.contracts.incidents import AlertState, Correlation, IncidentStatus
from tocsin.contracts.model import Severity
from tocsin.incidents.domain.incident import StoredIncident, excerpt
from tocsin.incidents.domain.states import Step, take_step

Slot: TypeAlias = tuple[str, Severity]
"""What alerts are correlated by: service and severity."""


@dataclass(frozen=True, slots=True)
class Link:
    """An alert that is known, as it was last told."""

    alert_id: UUID
    incident_id: UUID
    version: int
    attached_version: int
    """The version that was told when it came to this incident."""
    action: AlertAction
    """What was answered then."""
    resolved: bool


@dataclass(frozen=True, slots=True)
class LinkWrite:
    """An alert's row as it will be."""

    alert: AlertState
    incident_id: UUID
    action: AlertAction
    attached_version: int
    moved: bool


@dataclass(slots=True)
class Touched:
    """An incident that the batch opens or changes."""

    incident: StoredIncident
    opened: bool
    alerts: int = 0
    """How many more alerts are linked to it."""
    firing: int = 0
    """How many more of them fire."""
    attached: list[AlertState] = field(default_factory=list)
    recovered: list[AlertState] = field(default_factory=list)
    moved_away: list[AlertState] = field(default_factory=list)
    continues: set[int] = field(default_factory=set)
    """Numbers of the resolved incidents whose alerts moved here."""
    step: Step | None = None
    """It resolves itself."""

    @property
    def firing_left(self) -> int:
        """Return how many of its alerts fire after the batch."""
        return self.incident.firing_count + self.firing


@dataclass(frozen=True, slots=True)
class Plan:
    """What a batch does."""

    results: list[Correlation]
    opened: list[Touched]
    changed: list[Touched]
    new_links: list[LinkWrite]
    known_links: list[LinkWrite]
    """Links whose rows exist and change."""

    def touched(self) -> Iterable[Touched]:
        """Return what is opened, then what is changed."""
        return (*self.opened, *self.changed)


def plan_batch(
    batch: Sequence[AlertState],
    *,
    links: Mapping[UUID, Link],
    incidents: Mapping[UUID, StoredIncident],
    candidates: Mapping[Slot, UUID],
    now: datetime,
    window: timedelta,
    auto_resolve: bool,
    new_id: Callable[[], UUID],
) -> Plan:
    """Decide for the whole batch.

    *links* has the alerts of the batch that are known, *incidents* every incident that a link or a candidate names, as
    locked, *candidates* for each slot the newest incident that fitted when it was looked up.
    """
    planner = _Planner(links, incidents, candidates, now, window, new_id)
    newest: dict[UUID, AlertState] = {}
    for alert in batch:
        known = newest.get(alert.alert_id)
        if known is None or alert.version > known.version:
            newest[alert.alert_id] = alert
    decided = {alert_id: planner.decide(alert) for alert_id, alert in newest.items()}
    if auto_resolve:
        planner.resolve_the_recovered()
    touched = planner.touched.values()
    return Plan(
        results=[decided[alert.alert_id] for alert in batch],
        opened=[item for item in touched if item.opened],
        changed=[item for item in touched if not item.opened],
        new_links=planner.new_links,
        known_links=planner.known_links,
    )


def fits(incident: StoredIncident, slot: Slot, now: datetime, window: timedelta) -> bool:
    """Say whether a new alert of *slot* joins *incident*."""
    return (
        incident.status is not IncidentStatus.RESOLVED
        and (incident.service, incident.severity) == slot
        and incident.created_at >= now - window
    )


class _Planner:
    """The batch as far as it is decided."""

    def __init__(  # noqa: PLR0917 - private, called once
        self,
        links: Mapping[UUID, Link],
        incidents: Mapping[UUID, StoredIncident],
        candidates: Mapping[Slot, UUID],
        now: datetime,
        window: timedelta,
        new_id: Callable[[], UUID],
    ) -> None:
        self._links = links
        self._incidents = incidents
        self._candidates = candidates
        self._now = now
        self._window = window
        self._new_id = new_id
        self._targets: dict[Slot, Touched] = {}
        self.touched: dict[UUID, Touched] = {}
        self.new_links: list[LinkWrite] = []
        self.known_links: list[LinkWrite] = []

    def decide(self, alert: AlertState) -> Correlation:
        link = self._links.get(alert.alert_id)
        if link is None:
            return self._decide_new(alert)
        if alert.version <= link.version:
            return _answer(alert, link.incident_id, link.action if alert.version <= link.attached_version else None)
        incident = self._incidents[link.incident_id]
        if alert.status is AlertStatus.FIRING and incident.status is IncidentStatus.RESOLVED:
            return self._move(alert, link, incident)
        return self._update(alert, link, incident)

    def resolve_the_recovered(self) -> None:
        """Resolve what has no firing alert any more, where this batch brought the last recovery."""
        for item in self.touched.values():
            if item.recovered and item.firing_left == 0:
                item.step = take_step(item.incident, IncidentStatus.RESOLVED, self._now)

    def _decide_new(self, alert: AlertState) -> Correlation:
        fires = alert.status is AlertStatus.FIRING
        if not fires and alert.fired_at is None:
            return Correlation(alert_id=alert.alert_id, incident_id=None, action=AlertAction.IGNORED)
        target, action = self._place(alert)
        target.firing += fires
        if not fires:
            target.recovered.append(alert)
        self.new_links.append(LinkWrite(alert, target.incident.id, action, alert.version, moved=False))
        return _answer(alert, target.incident.id, action)

    def _move(self, alert: AlertState, link: Link, left: StoredIncident) -> Correlation:
        source = self._touch(left)
        source.moved_away.append(alert)
        source.alerts -= 1
        source.firing -= not link.resolved
        target, action = self._place(alert)
        target.firing += 1
        target.continues.add(left.number)
        self.known_links.append(LinkWrite(alert, target.incident.id, action, alert.version, moved=True))
        return _answer(alert, target.incident.id, action)

    def _update(self, alert: AlertState, link: Link, incident: StoredIncident) -> Correlation:
        fires = alert.status is AlertStatus.FIRING
        if fires and link.resolved:
            self._touch(incident).firing += 1
        if not fires and not link.resolved:
            item = self._touch(incident)
            item.firing -= 1
            item.recovered.append(alert)
        self.known_links.append(LinkWrite(alert, incident.id, link.action, link.attached_version, moved=False))
        return _answer(alert, incident.id, None)

    def _place(self, alert: AlertState) -> tuple[Touched, AlertAction]:
        slot = (alert.service, alert.severity)
        target = self._targets.get(slot)
        action = AlertAction.ATTACHED
        if target is None:
            candidate = self._candidates.get(slot)
            incident = self._incidents.get(candidate) if candidate else None
            if incident is not None and fits(incident, slot, self._now, self._window):
                target = self._touch(incident)
            else:
                target = self._open(alert)
                action = AlertAction.NEW_INCIDENT
            self._targets[slot] = target
        target.alerts += 1
        target.attached.append(alert)
        return target, action

    def _touch(self, incident: StoredIncident) -> Touched:
        item = self.touched.get(incident.id)
        if item is None:
            item = self.touched[incident.id] = Touched(incident, opened=False)
        return item

    def _open(self, alert: AlertState) -> Touched:
        incident = StoredIncident(
            id=self._new_id(),
            number=0,
            title=title_of(alert),
            service=alert.service,
            severity=alert.severity,
            status=IncidentStatus.OPEN,
            assigned_to=None,
            firing_count=0,
            created_at=self._now,
            acknowledged_at=None,
            resolved_at=None,
            version=1,
        )
        item = self.touched[incident.id] = Touched(incident, opened=True)
        return item


def title_of(alert: AlertState) -> str:
    """Return the first line of the alert's message that says something, in at most 200 characters."""
    lines = (line.strip() for line in alert.message.splitlines())
    first = next((line for line in lines if line), None)
    return excerpt(first or f"Alert of {alert.service}", 200)


def _answer(alert: AlertState, incident_id: UUID, action: AlertAction | None) -> Correlation:
    """Answer with *action*, which the alert's coming to its incident had; without it the alert is a repeat."""
    if alert.status is AlertStatus.RESOLVED:
        action = AlertAction.RESOLVED
    return Correlation(alert_id=alert.alert_id, incident_id=incident_id, action=action or AlertAction.REPEATED)


def description_of(alert: AlertState) -> str | None:
    """Return the alert's message where the title does not say all of it."""
    return alert.message if alert.message != title_of(alert) else None
