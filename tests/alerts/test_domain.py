import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.alerts.domain import (
    Entry,
    Report,
    entry_ids,
    fingerprint,
    new_alert,
    newest_states,
    plan_steps,
    result_of,
)
from tocsin.contracts.alerts import AlertAction, AlertStatus
from tocsin.contracts.incidents import Correlation
from tocsin.contracts.model import Severity
from tocsin.integrations.integration import IncomingAlert
from tocsin.kernel.ids import new_id

FIRING, RESOLVED = AlertStatus.FIRING, AlertStatus.RESOLVED
reports = st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.sampled_from([FIRING, RESOLVED])), max_size=30)


def entry(key: str, status: AlertStatus, number: int = 0) -> Entry:
    alert = IncomingAlert("checkout", Severity.HIGH, "m", status, labels={"n": str(number)}, dedup_key=key)
    return Entry(new_id(), alert, new_id(), "generic")


@dataclass
class Table:
    """What the database does with reports, in the simplest words."""

    open: dict[str, UUID] = field(default_factory=dict)
    alerts: dict[UUID, tuple[int, str, bool]] = field(default_factory=dict)
    """Occurrences, newest label, resolved."""
    outcomes: dict[UUID, tuple[UUID, str]] = field(default_factory=dict)

    def fire(self, entries: list[Entry]) -> None:
        key, label = entries[0].alert.dedup_key or "", entries[-1].alert.labels["n"]
        met = self.open.get(key)
        alert_id = met or entries[0].id
        occurrences = self.alerts[alert_id][0] if met else 0
        self.alerts[alert_id] = (occurrences + len(entries), label, False)
        self.open[key] = alert_id
        for item in entries:
            self.outcomes[item.id] = (alert_id, "opened" if item.id == alert_id else "repeated")

    def resolve(self, item: Entry) -> None:
        met = self.open.pop(item.alert.dedup_key or "", None)
        if met is not None:
            occurrences, label, _ = self.alerts[met]
            self.alerts[met] = (occurrences, label, True)
        self.outcomes[item.id] = (met or item.id, "resolved" if met else "ignored")

    def take(self, entries: Iterable[Entry]) -> None:
        for item in entries:
            if item.alert.status is FIRING:
                self.fire([item])
            else:
                self.resolve(item)


@given(reports)
def test_steps_do_what_the_reports_would_do_one_by_one(given_reports: list[tuple[str, AlertStatus]]) -> None:
    entries = [entry(key, status, number) for number, (key, status) in enumerate(given_reports)]
    one_by_one, in_steps = Table(), Table()
    one_by_one.take(entries)
    for step in plan_steps(entries):
        for run in step.firing:
            in_steps.fire(run.entries)
        for item in step.resolved:
            in_steps.resolve(item)
    assert in_steps == one_by_one


@given(reports)
def test_a_step_has_no_key_twice_and_is_sorted_by_key(given_reports: list[tuple[str, AlertStatus]]) -> None:
    for step in plan_steps(entry(key, status) for key, status in given_reports):
        for keys in (
            [run.entries[0].alert.dedup_key or "" for run in step.firing],
            [item.alert.dedup_key or "" for item in step.resolved],
        ):
            assert keys == sorted(set(keys))


def test_reports_without_order_between_them_take_one_step() -> None:
    entries = [entry("c", FIRING), entry("a", FIRING), entry("b", RESOLVED), entry("a", FIRING), entry("a", RESOLVED)]
    assert len(plan_steps(entries)) == 1


def test_the_fingerprint_is_the_sha256_of_service_severity_and_the_first_hundred_characters() -> None:
    message = "é" * 100
    expected = hashlib.sha256(f"checkout|high|{message}".encode()).hexdigest()
    assert fingerprint("checkout", Severity.HIGH, message + " and more") == expected
    assert fingerprint("checkout", Severity.LOW, message) != expected


def test_the_ids_of_a_requests_alerts_follow_from_its_own() -> None:
    request_id = new_id()
    ids = entry_ids(request_id, 3)
    assert ids == entry_ids(request_id, 5)[:3]
    assert ids == sorted(ids)
    assert len(set(ids)) == 3
    assert ids[0] == request_id
    assert entry_ids(request_id, 0) == []


def stored(did: AlertAction, *, incident_id: UUID | None = None, version: int = 1) -> Report:
    alert = new_alert(entry("a", FIRING), datetime.now(UTC))
    known = {name: getattr(alert, name) for name in type(alert).__slots__}
    return Report(alert.id, did, type(alert)(**{**known, "incident_id": incident_id, "version": version}))


def test_of_two_states_of_an_alert_the_newer_is_told() -> None:
    first = stored(AlertAction.PENDING)
    assert first.alert is not None
    known = {name: getattr(first.alert, name) for name in type(first.alert).__slots__}
    second = Report(first.alert_id, AlertAction.RESOLVED, type(first.alert)(**{**known, "version": 2}))
    ignored = Report(new_id(), AlertAction.IGNORED, None)
    assert newest_states([second, ignored, first]) == [second.alert]
    assert newest_states([first, second]) == [second.alert]


INCIDENT, OTHER = new_id(), new_id()


@pytest.mark.parametrize(
    ("did", "known", "told", "expected"),
    [
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
def test_a_sender_is_told_what_became_of_its_report(
    did: AlertAction,
    known: UUID | None,
    told: tuple[UUID, AlertAction] | None,
    expected: tuple[UUID | None, AlertAction],
) -> None:
    report = stored(did, incident_id=known)
    correlations = {}
    if told is not None:
        correlations[report.alert_id] = Correlation(alert_id=report.alert_id, incident_id=told[0], action=told[1])
    receipt = result_of(report, correlations)
    assert (receipt.incident_id, receipt.action) == expected


def test_a_resolve_without_a_fire_needs_nobody_to_say_so() -> None:
    report = Report(new_id(), AlertAction.IGNORED, None)
    assert result_of(report, {}).action is AlertAction.IGNORED
