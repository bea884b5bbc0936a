"""A model of correlation's tables: dictionaries."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

from tocsin.contracts.alerts import AlertStatus
from tocsin.contracts.incidents import AlertState, IncidentStatus
from tocsin.contracts.model import Severity
from tocsin.incidents.domain.correlation import AlertLink, BatchPlan, CorrelationKey, is_joinable, plan_batch
from tocsin.incidents.domain.incident import StoredIncident

NOW = datetime(2026, 10, 22, 3, 12, 20, tzinfo=UTC)
WINDOW = timedelta(minutes=5)


@dataclass
class World:
    """The tables, as dictionaries."""

    auto_resolve: bool = True
    now: datetime = NOW
    incidents: dict[UUID, StoredIncident] = field(default_factory=dict)
    links: dict[UUID, AlertLink] = field(default_factory=dict)
    ids: Any = field(default_factory=lambda: count(1))

    def correlate(self, batch: Sequence[AlertState]) -> BatchPlan:
        plan = plan_batch(
            batch,
            links={alert.alert_id: self.links[alert.alert_id] for alert in batch if alert.alert_id in self.links},
            incidents=self.incidents,
            joinable=self.joinable(),
            now=self.now,
            window=WINDOW,
            auto_resolve=self.auto_resolve,
            new_id=lambda: UUID(int=next(self.ids)),
        )
        self.write(plan)
        return plan

    def joinable(self) -> dict[CorrelationKey, UUID]:
        found: dict[CorrelationKey, UUID] = {}
        for incident in sorted(self.incidents.values(), key=lambda item: (item.created_at, item.id)):
            key = (incident.service, incident.severity)
            if is_joinable(incident, key, self.now, WINDOW):
                found[key] = incident.id
        return found

    def write(self, plan: BatchPlan) -> None:
        for delta in plan.deltas():
            incident = replace(delta.incident, firing_count=delta.firing_left)
            if delta.opened:
                incident = replace(incident, number=incident.id.int)
            if delta.transition is not None:
                incident = replace(
                    incident,
                    status=delta.transition.status,
                    acknowledged_at=delta.transition.acknowledged_at,
                    resolved_at=delta.transition.resolved_at,
                )
            self.incidents[incident.id] = incident
        for write in (*plan.new_links, *plan.known_links):
            self.links[write.alert.alert_id] = AlertLink(
                alert_id=write.alert.alert_id,
                incident_id=write.incident_id,
                version=write.alert.version,
                attached_version=write.attached_version,
                action=write.action,
                resolved=write.alert.status is AlertStatus.RESOLVED,
            )

    def resolve(self, incident_id: UUID) -> None:
        """A person resolves it."""
        self.incidents[incident_id] = replace(
            self.incidents[incident_id],
            status=IncidentStatus.RESOLVED,
            acknowledged_at=self.now,
            resolved_at=self.now,
        )

    def check(self) -> None:
        firing: dict[UUID, int] = defaultdict(int)
        for link in self.links.values():
            firing[link.incident_id] += not link.resolved
        for incident in self.incidents.values():
            assert incident.firing_count == firing[incident.id], "the count is the number of firing alerts"


def alert(number: int, **given: Any) -> AlertState:
    values = {
        "alert_id": UUID(int=10_000 + number),
        "version": 1,
        "status": AlertStatus.FIRING,
        "service": "checkout",
        "severity": Severity.HIGH,
        "message": f"alert {number}",
        "fired_at": NOW,
        "last_seen_at": NOW,
    }
    return AlertState(**values | given)
