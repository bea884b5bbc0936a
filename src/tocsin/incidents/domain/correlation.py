"""Correlation: which incident each alert of a batch belongs to, and the resulting changes.

The rule: an alert joins an unresolved incident of the same service and severity that was created within the correlation
window; otherwise it opens one. A known alert stays with its incident regardless of the window, unless a person has
resolved that incident while the alert is still firing: then it moves to another one.
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
from tocsin.incidents.domain.states import StateTransition, plan_transition

CorrelationKey: TypeAlias = tuple[str, Severity]
"""Service and severity."""


@dataclass(frozen=True, slots=True)
class AlertLink:
    """The link of a known alert to its incident, as stored for the last version that was reported."""

    alert_id: UUID
    incident_id: UUID
    version: int
    attached_version: int
    """The alert's version when it was attached to this incident."""
    action: AlertAction
    """The action returned for `attached_version`."""
    resolved: bool


@dataclass(frozen=True, slots=True)
class KnownState:
    """What is known of a batch's alerts and correlation keys, while both are locked."""

    now: datetime
    """The database's time."""
    links: Mapping[UUID, AlertLink]
    """Those of the known alerts, by alert."""
    joinable: Mapping[CorrelationKey, UUID]
    """The newest incident of each key that a new alert may join."""
    incidents: Mapping[UUID, StoredIncident]
    """Each incident of `links` and `joinable` that is locked."""


@dataclass(frozen=True, slots=True)
class AlertLinkUpdate:
    """The new state of an alert's link."""

    alert: AlertState
    incident_id: UUID
    action: AlertAction
    attached_version: int
    moved: bool


@dataclass(slots=True)
class IncidentDelta:
    """The changes of a batch to one incident, new or existing."""

    incident: StoredIncident
    opened: bool
    alerts: int = 0
    """The change of its alert count."""
    firing: int = 0
    """The change of its firing count."""
    attached: list[AlertState] = field(default_factory=list)
    recovered: list[AlertState] = field(default_factory=list)
    moved_away: list[AlertState] = field(default_factory=list)
    continues: set[int] = field(default_factory=set)
    """Numbers of the resolved incidents from which alerts moved here."""
    transition: StateTransition | None = None
    """Its automatic resolution."""

    @property
    def firing_left(self) -> int:
        """Return its firing count after the batch."""
        return self.incident.firing_count + self.firing


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """The result of a batch and the rows to write."""

    results: list[Correlation]
    opened: list[IncidentDelta]
    changed: list[IncidentDelta]
    new_links: list[AlertLinkUpdate]
    known_links: list[AlertLinkUpdate]
    """Updates of existing rows."""

    def deltas(self) -> Iterable[IncidentDelta]:
        """Return the opened incidents, then the changed ones."""
        return (*self.opened, *self.changed)

    def moves(self) -> dict[UUID, UUID]:
        """Return the new incident of each alert that moves."""
        return {link.alert.alert_id: link.incident_id for link in self.known_links if link.moved}


def plan_batch(
    batch: Sequence[AlertState],
    *,
    links: Mapping[UUID, AlertLink],
    incidents: Mapping[UUID, StoredIncident],
    joinable: Mapping[CorrelationKey, UUID],
    now: datetime,
    window: timedelta,
    auto_resolve: bool,
    new_id: Callable[[], UUID],
) -> BatchPlan:
    """Plan the whole batch.

    *links* has the known alerts of the batch, *joinable* the newest joinable incident of each key, *incidents* the
    locked row of every incident that *links* or *joinable* refer to.
    """
    planner = _Planner(links, incidents, joinable, now, window, new_id)
    newest: dict[UUID, AlertState] = {}
    for alert in batch:
        known = newest.get(alert.alert_id)
        if known is None or alert.version > known.version:
            newest[alert.alert_id] = alert
    decided = {alert_id: planner.decide(alert) for alert_id, alert in newest.items()}
    if auto_resolve:
        planner.resolve_recovered()
    deltas = planner.deltas.values()
    return BatchPlan(
        results=[decided[alert.alert_id] for alert in batch],
        opened=[delta for delta in deltas if delta.opened],
        changed=[delta for delta in deltas if not delta.opened],
        new_links=planner.new_links,
        known_links=planner.known_links,
    )


def is_joinable(incident: StoredIncident, key: CorrelationKey, now: datetime, window: timedelta) -> bool:
    """Return whether a new alert of *key* joins *incident*."""
    return (
        incident.status is not IncidentStatus.RESOLVED
        and (incident.service, incident.severity) == key
        and incident.created_at >= now - window
    )


class _Planner:
    """The state of a partly planned batch."""

    def __init__(  # noqa: PLR0917 - private, called once
        self,
        links: Mapping[UUID, AlertLink],
        incidents: Mapping[UUID, StoredIncident],
        joinable: Mapping[CorrelationKey, UUID],
        now: datetime,
        window: timedelta,
        new_id: Callable[[], UUID],
    ) -> None:
        self._links = links
        self._incidents = incidents
        self._joinable = joinable
        self._now = now
        self._window = window
        self._new_id = new_id
        self._targets: dict[CorrelationKey, IncidentDelta] = {}
        self.deltas: dict[UUID, IncidentDelta] = {}
        self.new_links: list[AlertLinkUpdate] = []
        self.known_links: list[AlertLinkUpdate] = []

    def decide(self, alert: AlertState) -> Correlation:
        link = self._links.get(alert.alert_id)
        if link is None:
            return self._attach_new(alert)
        if alert.version <= link.version:
            return _result(alert, link.incident_id, link.action, repeats=alert.version > link.attached_version)
        incident = self._incidents[link.incident_id]
        if alert.status is AlertStatus.FIRING and incident.status is IncidentStatus.RESOLVED:
            return self._move(alert, link, incident)
        return self._update(alert, link, incident)

    def resolve_recovered(self) -> None:
        """Resolve each incident whose last firing alert recovered in this batch."""
        for delta in self.deltas.values():
            if delta.recovered and delta.firing_left == 0:
                delta.transition = plan_transition(delta.incident, IncidentStatus.RESOLVED, self._now)

    def _attach_new(self, alert: AlertState) -> Correlation:
        fires = alert.status is AlertStatus.FIRING
        if not fires and alert.fired_at is None:
            return Correlation(alert_id=alert.alert_id, incident_id=None, action=AlertAction.IGNORED)
        target, action = self._attach(alert)
        target.firing += fires
        if not fires:
            target.recovered.append(alert)
        self.new_links.append(AlertLinkUpdate(alert, target.incident.id, action, alert.version, moved=False))
        return _result(alert, target.incident.id, action)

    def _move(self, alert: AlertState, link: AlertLink, left: StoredIncident) -> Correlation:
        source = self._delta_of(left)
        source.moved_away.append(alert)
        source.alerts -= 1
        source.firing -= not link.resolved
        target, action = self._attach(alert)
        target.firing += 1
        target.continues.add(left.number)
        self.known_links.append(AlertLinkUpdate(alert, target.incident.id, action, alert.version, moved=True))
        return _result(alert, target.incident.id, action)

    def _update(self, alert: AlertState, link: AlertLink, incident: StoredIncident) -> Correlation:
        fires = alert.status is AlertStatus.FIRING
        if fires and link.resolved:
            self._delta_of(incident).firing += 1
        if not fires and not link.resolved:
            delta = self._delta_of(incident)
            delta.firing -= 1
            delta.recovered.append(alert)
        self.known_links.append(AlertLinkUpdate(alert, incident.id, link.action, link.attached_version, moved=False))
        return _result(alert, incident.id, link.action, repeats=True)

    def _attach(self, alert: AlertState) -> tuple[IncidentDelta, AlertAction]:
        key = (alert.service, alert.severity)
        target = self._targets.get(key)
        action = AlertAction.ATTACHED
        if target is None:
            incident_id = self._joinable.get(key)
            incident = self._incidents.get(incident_id) if incident_id else None
            if incident is not None and is_joinable(incident, key, self._now, self._window):
                target = self._delta_of(incident)
            else:
                target = self._open(alert)
                action = AlertAction.NEW_INCIDENT
            self._targets[key] = target
        target.alerts += 1
        target.attached.append(alert)
        return target, action

    def _delta_of(self, incident: StoredIncident) -> IncidentDelta:
        delta = self.deltas.get(incident.id)
        if delta is None:
            delta = self.deltas[incident.id] = IncidentDelta(incident, opened=False)
        return delta

    def _open(self, alert: AlertState) -> IncidentDelta:
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
        delta = self.deltas[incident.id] = IncidentDelta(incident, opened=True)
        return delta


def title_of(alert: AlertState) -> str:
    """Return the first non-blank line of the alert's message, cut to 200 characters."""
    lines = (line.strip() for line in alert.message.splitlines())
    first = next((line for line in lines if line), None)
    return excerpt(first or f"Alert of {alert.service}", 200)


def description_of(alert: AlertState) -> str | None:
    """Return the alert's message, or None if the title already contains all of it."""
    return alert.message if alert.message != title_of(alert) else None


def _result(alert: AlertState, incident_id: UUID, joined: AlertAction, *, repeats: bool = False) -> Correlation:
    """Return the result of a report; *repeats* if it is later than the one with which the alert joined the incident."""
    action = AlertAction.REPEATED if repeats else joined
    if alert.status is AlertStatus.RESOLVED:
        action = AlertAction.RESOLVED
    return Correlation(alert_id=alert.alert_id, incident_id=incident_id, action=action, joined=joined)
