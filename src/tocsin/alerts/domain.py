"""What ingestion decides about alerts: pure functions and the rows that they work on."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from tocsin.contracts.alerts import AlertAction, AlertStatus
from tocsin.contracts.incidents import Correlation
from tocsin.contracts.model import Severity
from tocsin.integrations.integration import IncomingAlert, IngestResult

FINGERPRINT_CHARACTERS: Final = 100
"""How much of a message takes part in its fingerprint."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One alert of one request, under the id that it gets if it turns out to be a new one."""

    id: UUID
    alert: IncomingAlert
    request_id: UUID
    receiver: str


@dataclass(frozen=True, slots=True)
class Firing:
    """Neighbouring reports that the alert of one key fires, folded into one row."""

    entries: list[Entry]


@dataclass(frozen=True, slots=True)
class Step:
    """What one pair of statements may write: no key twice in either. Firing is written first."""

    firing: list[Firing] = field(default_factory=list)
    resolved: list[Entry] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class StoredAlert:
    """An alert as it stands in the tables, with what incident management must be told of it."""

    id: UUID
    version: int
    incident_id: UUID | None
    """The incident that it is known to belong to."""
    status: AlertStatus
    service: str
    severity: Severity
    message: str
    labels: dict[str, str]
    source: str | None
    dedup_key: str | None
    occurrences: int
    remark: str | None
    fired_at: datetime | None
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class Report:
    """What storing one reported alert did."""

    alert_id: UUID
    did: AlertAction
    """`pending`: it is a new alert, to be correlated; `repeated`, `resolved`: it met the open one; `ignored`."""
    alert: StoredAlert | None
    """What incident management must be told; nothing of a resolve without a fire."""


def fingerprint(service: str, severity: Severity, message: str) -> str:
    """Return the SHA-256, in hex, of service, severity and the first 100 characters of the message."""
    text = f"{service}|{severity}|{message[:FINGERPRINT_CHARACTERS]}"
    return hashlib.sha256(text.encode()).hexdigest()


def entry_ids(request_id: UUID, count: int) -> list[UUID]:
    """Return the ids of a request's alerts: they follow from its own, so that a repeated request finds them again."""
    if count == 1:
        return [request_id]
    return [UUID(int=request_id.int + position) for position in range(count)]


def new_alert(entry: Entry, at: datetime) -> StoredAlert:
    """Return an alert that was stored just now, at *at*, under its own id."""
    alert = entry.alert
    return StoredAlert(
        id=entry.id,
        version=1,
        incident_id=None,
        status=alert.status,
        service=alert.service,
        severity=alert.severity,
        message=alert.message,
        labels=alert.labels,
        source=alert.source,
        dedup_key=alert.dedup_key,
        occurrences=1,
        remark=alert.remark,
        fired_at=alert.starts_at or at,
        last_seen_at=at,
    )


def split_by_key(requests: Iterable[Iterable[Entry]]) -> tuple[list[Entry], list[Entry]]:
    """Return the entries without a key, which are independent of all others, and those with one, in their order."""
    alone: list[Entry] = []
    keyed: list[Entry] = []
    for entries in requests:
        for entry in entries:
            (alone if entry.alert.dedup_key is None else keyed).append(entry)
    return alone, keyed


def plan_steps(entries: Iterable[Entry]) -> list[Step]:
    """Arrange *entries*, all with a key, into the fewest steps that do what they would do one by one.

    Those of one key keep their order; neighbours that say it fires are folded. Within a step rows are sorted by key, so
    that two replicas lock them in the same order.
    """
    steps: list[Step] = []
    runs: dict[str, Firing] = {}
    free: dict[str, int] = {}  # the first step that may still take a key
    for entry in entries:
        key = entry.alert.dedup_key or ""
        firing = entry.alert.status is AlertStatus.FIRING
        if firing and key in runs:
            runs[key].entries.append(entry)
            continue
        index = free.get(key, 0)
        if index == len(steps):
            steps.append(Step())
        if firing:
            runs[key] = Firing([entry])
            steps[index].firing.append(runs[key])
            free[key] = index
        else:
            runs.pop(key, None)
            steps[index].resolved.append(entry)
            free[key] = index + 1
    for step in steps:
        step.firing.sort(key=lambda run: run.entries[0].alert.dedup_key or "")
        step.resolved.sort(key=lambda entry: entry.alert.dedup_key or "")
    return steps


def newest_states(reports: Iterable[Report]) -> list[StoredAlert]:
    """Return the newest state of each alert that *reports* are about, as far as it is to be told."""
    newest: dict[UUID, StoredAlert] = {}
    for report in reports:
        alert = report.alert
        if alert is not None and (alert.id not in newest or newest[alert.id].version < alert.version):
            newest[alert.id] = alert
    return list(newest.values())


def result_of(report: Report, told: Mapping[UUID, Correlation]) -> IngestResult:
    """Return what the sender is told of *report*, given where incident management put its alert, if it could say."""
    if report.alert is None:
        return IngestResult(report.alert_id, None, report.did)
    correlation = told.get(report.alert_id)
    if correlation is None:
        return IngestResult(report.alert_id, None, AlertAction.PENDING)
    moved = report.alert.incident_id not in {None, correlation.incident_id}
    repeats = report.did is AlertAction.REPEATED and not moved
    action = report.did if repeats or report.did is AlertAction.RESOLVED else correlation.action
    return IngestResult(report.alert_id, correlation.incident_id, action)
