"""The outcome of an alert, and its reasons."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from tocsin.contracts.alerts import Alert, AlertAction, AlertStatus
from tocsin.contracts.incidents import IncidentSummary
from tocsin.integrations import label_of
from tocsin.web.ui import format as fmt

PILLS: Final = {
    AlertAction.NEW_INCIDENT: ("open", "bell", "New incident"),
    AlertAction.ATTACHED: ("in_progress", "link", "Attached"),
    AlertAction.PENDING: ("wait", "clock", "Pending"),
    AlertAction.IGNORED: ("mute", "mute", "Ignored"),
    AlertAction.REPEATED: ("mute", "copy", "Repeated"),
    AlertAction.RESOLVED: ("ok", "check", "Recovered"),
}


@dataclass(frozen=True, slots=True)
class AlertOutcome:
    """The outcome of an alert, and its reasons."""

    tone: str
    icon: str
    label: str
    incident: IncidentSummary | None
    """None if it has none, or incident management is unavailable."""
    reasons: list[str]
    recovered_after: str
    """How long it was firing; empty while it is."""


@dataclass(frozen=True, slots=True)
class AlertRow:
    """An alert with its sender and outcome."""

    alert: Alert
    sender: str
    outcome: AlertOutcome


def alert_row(alert: Alert, incidents: Mapping[UUID, IncidentSummary]) -> AlertRow:
    """Return *alert* with its sender and outcome; *incidents* are those that could be loaded, by id."""
    incident = incidents.get(alert.incident_id) if alert.incident_id else None
    tone, icon, label = PILLS[alert.action]
    recovered = ""
    if alert.status is AlertStatus.RESOLVED and alert.resolved_at and alert.action is not AlertAction.IGNORED:
        recovered = fmt.duration(fmt.since(alert.created_at, alert.resolved_at))
    sender = alert.source or label_of(alert.integration)
    return AlertRow(alert, sender, AlertOutcome(tone, icon, label, incident, _reasons(alert, incident), recovered))


def _reasons(alert: Alert, incident: IncidentSummary | None) -> list[str]:
    reasons = {
        AlertAction.NEW_INCIDENT: f"no unresolved incident of {alert.service} at this severity was recent enough",
        AlertAction.ATTACHED: "same service and severity",
        AlertAction.PENDING: "incident management has not responded yet; Tocsin retries until it does",
        AlertAction.IGNORED: "its sender resolved it, but it was not firing",
    }
    reason = reasons.get(alert.action, "")
    if incident is not None and alert.action is AlertAction.ATTACHED:
        reason += f", {fmt.timer(fmt.since(incident.created_at, alert.created_at))} after it opened"
    if incident is not None and alert.action is AlertAction.NEW_INCIDENT and incident.assigned_to:
        reason += f"; assigned to {incident.assigned_to}"
    repeated = f"reported {alert.occurrences:,} times with the same dedup key" if alert.occurrences > 1 else ""
    return [part for part in (reason, repeated, alert.remark or "") if part]
