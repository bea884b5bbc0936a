import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.alerts.domain import (
    AlertReport,
    OpenAlertKey,
    StoreResult,
    fingerprint,
    ingest_result,
    new_alert,
    newest_states,
    plan_steps,
    report_ids,
)
from tocsin.contracts.alerts import AlertAction, AlertStatus
from tocsin.contracts.incidents import Correlation
from tocsin.contracts.model import Severity
from tocsin.integrations.integration import IncomingAlert
from tocsin.kernel.ids import new_id

FIRING, RESOLVED = AlertStatus.FIRING, AlertStatus.RESOLVED
kinds = st.tuples(st.sampled_from("ab"), st.sampled_from(["checkout", "mail"]), st.sampled_from([FIRING, RESOLVED]))
sequences = st.lists(kinds, max_size=30)


def report(key: str, status: AlertStatus, *, service: str = "checkout", number: int = 0) -> AlertReport:
    alert = IncomingAlert(service, Severity.HIGH, "m", status, labels={"n": str(number)}, dedup_key=key)
    return AlertReport(new_id(), alert, new_id(), "generic")


@dataclass
class Table:
    """A simple model of what the database does with reports."""

    open: dict[OpenAlertKey, UUID] = field(default_factory=dict)
    alerts: dict[UUID, tuple[int, str, bool]] = field(default_factory=dict)
    """Occurrences, newest label, resolved."""
    outcomes: dict[UUID, tuple[UUID, str]] = field(default_factory=dict)

    def fire(self, run: list[AlertReport]) -> None:
        key, label = run[0].key, run[-1].alert.labels["n"]
        known = self.open.get(key)
        alert_id = known or run[0].id
        occurrences = self.alerts[alert_id][0] if known else 0
        self.alerts[alert_id] = (occurrences + len(run), label, False)
        self.open[key] = alert_id
        for item in run:
            self.outcomes[item.id] = (alert_id, "opened" if item.id == alert_id else "repeated")

    def resolve(self, item: AlertReport) -> None:
        known = self.open.pop(item.key, None)
        if known is not None:
            occurrences, label, _ = self.alerts[known]
            self.alerts[known] = (occurrences, label, True)
        self.outcomes[item.id] = (known or item.id, "resolved" if known else "ignored")

    def write(self, reports: Iterable[AlertReport]) -> None:
        for item in reports:
            if item.alert.status is FIRING:
                self.fire([item])
            else:
                self.resolve(item)


@given(sequences)
def test_steps_have_the_effect_of_their_reports_applied_one_by_one(
    sequence: list[tuple[str, str, AlertStatus]],
) -> None:
    reports = [report(key, status, service=name, number=n) for n, (key, name, status) in enumerate(sequence)]
    one_by_one, in_steps = Table(), Table()
    one_by_one.write(reports)
    for step in plan_steps(reports):
        for run in step.firing:
            in_steps.fire(run.reports)
        for item in step.resolved:
            in_steps.resolve(item)
    assert in_steps == one_by_one


@given(sequences)
def test_a_step_has_no_key_twice_and_is_sorted_by_key(sequence: list[tuple[str, str, AlertStatus]]) -> None:
    for step in plan_steps(report(key, status, service=name) for key, name, status in sequence):
        for keys in ([run.reports[0].key for run in step.firing], [item.key for item in step.resolved]):
            assert keys == sorted(set(keys))


def test_independent_reports_take_one_step() -> None:
    reports = [
        report("c", FIRING),
        report("a", FIRING),
        report("b", RESOLVED),
        report("a", FIRING),
        report("a", RESOLVED),
        report("a", FIRING, service="mail"),
    ]
    assert len(plan_steps(reports)) == 1


def test_the_fingerprint_is_the_sha256_of_service_severity_and_the_first_hundred_characters() -> None:
    message = "é" * 100
    expected = hashlib.sha256(f"checkout|high|{message}".encode()).hexdigest()
    assert fingerprint("checkout", Severity.HIGH, message + " and more") == expected
    assert fingerprint("checkout", Severity.LOW, message) != expected


def test_the_ids_of_a_requests_reports_follow_from_its_own() -> None:
    request_id = new_id()
    ids = report_ids(request_id, 3)
    assert ids == report_ids(request_id, 5)[:3]
    assert ids == sorted(ids)
    assert len(set(ids)) == 3
    assert ids[0] == request_id
    assert report_ids(request_id, 0) == []


def stored(action: AlertAction, *, incident_id: UUID | None = None, version: int = 1) -> StoreResult:
    alert = new_alert(report("a", FIRING), datetime.now(UTC))
    known = {name: getattr(alert, name) for name in type(alert).__slots__}
    return StoreResult(alert.id, action, type(alert)(**{**known, "incident_id": incident_id, "version": version}))


def test_of_two_states_of_an_alert_the_newer_is_forwarded() -> None:
    first = stored(AlertAction.PENDING)
    assert first.alert is not None
    known = {name: getattr(first.alert, name) for name in type(first.alert).__slots__}
    second = StoreResult(first.alert_id, AlertAction.RESOLVED, type(first.alert)(**{**known, "version": 2}))
    ignored = StoreResult(new_id(), AlertAction.IGNORED, None)
    assert newest_states([second, ignored, first]) == [second.alert]
    assert newest_states([first, second]) == [second.alert]


INCIDENT, OTHER = new_id(), new_id()


@pytest.mark.parametrize(
    ("action", "known", "correlated", "expected"),
    [
        (AlertAction.PENDING, None, (INCIDENT, AlertAction.REPEATED), (INCIDENT, AlertAction.ATTACHED)),
        (AlertAction.PENDING, None, (INCIDENT, AlertAction.NEW_INCIDENT), (INCIDENT, AlertAction.NEW_INCIDENT)),
        (AlertAction.PENDING, None, (INCIDENT, AlertAction.ATTACHED), (INCIDENT, AlertAction.ATTACHED)),
        (AlertAction.PENDING, None, None, (None, AlertAction.PENDING)),
        (AlertAction.REPEATED, INCIDENT, (INCIDENT, AlertAction.REPEATED), (INCIDENT, AlertAction.REPEATED)),
        (AlertAction.REPEATED, None, (INCIDENT, AlertAction.NEW_INCIDENT), (INCIDENT, AlertAction.REPEATED)),
        (AlertAction.REPEATED, INCIDENT, (OTHER, AlertAction.NEW_INCIDENT), (OTHER, AlertAction.NEW_INCIDENT)),
        (AlertAction.REPEATED, INCIDENT, None, (None, AlertAction.PENDING)),
        (AlertAction.RESOLVED, INCIDENT, (INCIDENT, AlertAction.RESOLVED), (INCIDENT, AlertAction.RESOLVED)),
    ],
)
def test_a_sender_gets_the_outcome_of_its_report(
    action: AlertAction,
    known: UUID | None,
    correlated: tuple[UUID, AlertAction] | None,
    expected: tuple[UUID | None, AlertAction],
) -> None:
    result = stored(action, incident_id=known)
    correlations = {}
    if correlated is not None:
        correlations[result.alert_id] = Correlation(
            alert_id=result.alert_id, incident_id=correlated[0], action=correlated[1], joined=AlertAction.ATTACHED
        )
    outcome = ingest_result(result, correlations)
    assert (outcome.incident_id, outcome.action) == expected


def test_a_resolve_without_an_open_alert_is_ignored_without_a_correlation() -> None:
    ignored = StoreResult(new_id(), AlertAction.IGNORED, None)
    assert ingest_result(ignored, {}).action is AlertAction.IGNORED
