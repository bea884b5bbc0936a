"""The domain of alert-ingestion: values and pure functions."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from tocsin.contracts.alerts import AlertAction, AlertStatus
from tocsin.contracts.incidents import Correlation
from tocsin.contracts.model import Severity
from tocsin.integrations.integration import IncomingAlert, IngestResult
from tocsin.kernel.idempotent_request import IdempotentRequest

FINGERPRINT_CHARACTERS: Final = 100
"""The characters of a message that are part of its fingerprint."""
DEFAULT_INTEGRATION_ID: Final = UUID("00000000-0000-7000-8000-000000000001")
"""The integration that all senders share until others can be created."""


@dataclass(frozen=True, slots=True)
class IncomingRequest:
    """A sender's request, with its body as it was received."""

    id: UUID
    idempotent: IdempotentRequest | None
    integration: str
    """The name of the integration that parsed it."""
    content_type: str
    body: bytes
    trace_context: str | None = None
    integration_id: UUID = DEFAULT_INTEGRATION_ID


class OpenAlertKey(NamedTuple):
    """Identifies an alert while it is open: reports with an equal key update it."""

    integration_id: UUID
    service: str
    dedup_key: str


@dataclass(frozen=True, slots=True)
class AlertReport:
    """One alert of a request, with the id of the alert that it may create."""

    id: UUID
    alert: IncomingAlert
    request_id: UUID
    integration: str
    integration_id: UUID = DEFAULT_INTEGRATION_ID

    @property
    def key(self) -> OpenAlertKey:
        """The key of the open alert that it updates; for reports with a deduplication key only."""
        return OpenAlertKey(self.integration_id, self.alert.service, self.alert.dedup_key or "")


@dataclass(frozen=True, slots=True)
class FiringRun:
    """Consecutive firing reports of one key, written as one row."""

    reports: list[AlertReport]


@dataclass(frozen=True, slots=True)
class WriteStep:
    """The reports of two statements: first the firing ones, then the resolved ones. Each has a key at most once."""

    firing: list[FiringRun] = field(default_factory=list)
    resolved: list[AlertReport] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class StoredAlert:
    """An alert as stored, with what is forwarded to incident management."""

    id: UUID
    version: int
    """Starts at 1; incremented by each change."""
    incident_id: UUID | None
    """The incident that it is linked to; None until it is correlated."""
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
class StoreResult:
    """The effect of storing one report."""

    alert_id: UUID
    action: AlertAction
    """`pending`: a new alert, to be correlated; `repeated` or `resolved`: the open alert was updated; `ignored`."""
    alert: StoredAlert | None
    """The state to forward; None for an ignored resolve."""


def fingerprint(service: str, severity: Severity, message: str) -> str:
    """Return the SHA-256, in hex, of service, severity and the first 100 characters of the message."""
    text = f"{service}|{severity}|{message[:FINGERPRINT_CHARACTERS]}"
    return hashlib.sha256(text.encode()).hexdigest()


def report_ids(request_id: UUID, count: int) -> list[UUID]:
    """Return the ids of a request's reports, derived from its own, so that a retry of the request finds them."""
    if count == 1:
        return [request_id]
    return [UUID(int=request_id.int + index) for index in range(count)]


def reports_of(request: IncomingRequest, alerts: Sequence[IncomingAlert]) -> list[AlertReport]:
    """Return *alerts* as the reports of *request*."""
    return [
        AlertReport(report_id, alert, request.id, request.integration, request.integration_id)
        for report_id, alert in zip(report_ids(request.id, len(alerts)), alerts, strict=True)
    ]


def new_alert(report: AlertReport, at: datetime) -> StoredAlert:
    """Return the alert that *report* created at *at*."""
    alert = report.alert
    return StoredAlert(
        id=report.id,
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


def split_by_key(requests: Iterable[Iterable[AlertReport]]) -> tuple[list[AlertReport], list[AlertReport]]:
    """Return the reports without a deduplication key, which are independent, and those with one, in their order."""
    unkeyed: list[AlertReport] = []
    keyed: list[AlertReport] = []
    for reports in requests:
        for report in reports:
            (unkeyed if report.alert.dedup_key is None else keyed).append(report)
    return unkeyed, keyed


def plan_steps(reports: Iterable[AlertReport]) -> list[WriteStep]:
    """Return the fewest steps that have the same effect as writing *reports* one by one. Every report has a key.

    Reports of one key keep their order; consecutive firing ones are merged. The rows of a step are sorted by key, so
    that concurrent replicas lock them in the same order.
    """
    steps: list[WriteStep] = []
    runs: dict[OpenAlertKey, FiringRun] = {}
    free: dict[OpenAlertKey, int] = {}  # the first step that may take another report of the key
    for report in reports:
        key = report.key
        firing = report.alert.status is AlertStatus.FIRING
        if firing and key in runs:
            runs[key].reports.append(report)
            continue
        index = free.get(key, 0)
        if index == len(steps):
            steps.append(WriteStep())
        if firing:
            runs[key] = FiringRun([report])
            steps[index].firing.append(runs[key])
            free[key] = index
        else:
            runs.pop(key, None)
            steps[index].resolved.append(report)
            free[key] = index + 1
    for step in steps:
        step.firing.sort(key=lambda run: run.reports[0].key)
        step.resolved.sort(key=lambda report: report.key)
    return steps


def newest_states(results: Iterable[StoreResult]) -> list[StoredAlert]:
    """Return the newest state of each alert in *results* that is to be forwarded."""
    newest: dict[UUID, StoredAlert] = {}
    for result in results:
        alert = result.alert
        if alert is not None and (alert.id not in newest or newest[alert.id].version < alert.version):
            newest[alert.id] = alert
    return list(newest.values())


def ingest_result(stored: StoreResult, correlations: Mapping[UUID, Correlation]) -> IngestResult:
    """Return the outcome for the sender, given the correlations by alert; `pending` while there is none."""
    if stored.alert is None:
        return IngestResult(stored.alert_id, None, stored.action)
    correlation = correlations.get(stored.alert_id)
    if correlation is None:
        return IngestResult(stored.alert_id, None, AlertAction.PENDING)
    moved = stored.alert.incident_id not in {None, correlation.incident_id}
    repeats = stored.action is AlertAction.REPEATED and not moved
    action = correlation.action
    if repeats or stored.action is AlertAction.RESOLVED:
        action = stored.action
    elif stored.action is AlertAction.PENDING and action is AlertAction.REPEATED:
        action = correlation.joined or action  # a repeat at another replica was correlated first
    return IngestResult(stored.alert_id, correlation.incident_id, action)
