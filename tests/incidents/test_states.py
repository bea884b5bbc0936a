from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.contracts.incidents import ChangeIncident, EventType, IncidentStatus
from tocsin.contracts.model import Severity
from tocsin.incidents.domain.changes import plan_change
from tocsin.incidents.domain.incident import StoredIncident
from tocsin.incidents.domain.states import plan_transition
from tocsin.kernel.errors import ConflictError
from tocsin.kernel.ids import new_id

CREATED = datetime(2026, 10, 22, 3, 12, 20, tzinfo=UTC)
OPEN, ACKNOWLEDGED = IncidentStatus.OPEN, IncidentStatus.ACKNOWLEDGED
IN_PROGRESS, RESOLVED = IncidentStatus.IN_PROGRESS, IncidentStatus.RESOLVED
ALLOWED = {
    (OPEN, ACKNOWLEDGED),
    (OPEN, IN_PROGRESS),
    (OPEN, RESOLVED),
    (ACKNOWLEDGED, IN_PROGRESS),
    (ACKNOWLEDGED, RESOLVED),
    (IN_PROGRESS, RESOLVED),
}


def an_incident(status: IncidentStatus = OPEN) -> StoredIncident:
    acknowledged = CREATED + timedelta(minutes=2)
    return StoredIncident(
        id=UUID("0199f6a2-7c31-7e0b-9d44-51c0a8be2f17"),
        number=2481,
        title="Checkout answers 5xx",
        service="checkout",
        severity=Severity.HIGH,
        status=status,
        assigned_to=None,
        firing_count=0,
        created_at=CREATED,
        acknowledged_at=None if status is OPEN else acknowledged,
        resolved_at=acknowledged if status is RESOLVED else None,
        version=1,
    )


@pytest.mark.parametrize("status", IncidentStatus)
@pytest.mark.parametrize("target", IncidentStatus)
def test_every_pair_of_states_is_a_transition_a_no_op_or_a_conflict(
    status: IncidentStatus, target: IncidentStatus
) -> None:
    incident = an_incident(status)
    if status is target:
        assert plan_transition(incident, target, CREATED) is None
    elif (status, target) in ALLOWED:
        step = plan_transition(incident, target, CREATED + timedelta(minutes=5))
        assert step is not None
        assert step.status is target
    else:
        with pytest.raises(ConflictError, match=f"#2481 is {status}"):
            plan_transition(incident, target, CREATED)


def test_a_conflict_names_the_allowed_states() -> None:
    with pytest.raises(ConflictError, match="it can change to in_progress or resolved"):
        plan_transition(an_incident(ACKNOWLEDGED), OPEN, CREATED)
    with pytest.raises(ConflictError, match="that state is final"):
        plan_transition(an_incident(RESOLVED), OPEN, CREATED)


def test_the_first_transition_out_of_open_measures_mtta_and_resolve_measures_mttr() -> None:
    acknowledged = plan_transition(an_incident(), ACKNOWLEDGED, CREATED + timedelta(seconds=90))
    assert acknowledged is not None
    assert (acknowledged.mtta_seconds, acknowledged.mttr_seconds) == (90.0, None)
    resolved = plan_transition(an_incident(ACKNOWLEDGED), RESOLVED, CREATED + timedelta(seconds=300))
    assert resolved is not None
    assert (resolved.mtta_seconds, resolved.mttr_seconds) == (None, 300.0)
    both = plan_transition(an_incident(), RESOLVED, CREATED + timedelta(seconds=45))
    assert both is not None
    assert (both.mtta_seconds, both.mttr_seconds) == (45.0, 45.0)
    assert both.acknowledged_at == both.resolved_at


@given(st.lists(st.tuples(st.sampled_from(IncidentStatus), st.timedeltas(timedelta(days=-1), timedelta(days=2)))))
def test_the_times_of_an_incident_are_set_once_and_in_order_by_any_changes(
    requests: list[tuple[IncidentStatus, timedelta]],
) -> None:
    incident = an_incident()
    measured = stops = 0
    for target, after in requests:
        before = incident
        try:
            step = plan_transition(incident, target, CREATED + after)
        except ConflictError:
            assert (incident.status, target) not in ALLOWED
            continue
        if step is None:
            continue
        measured += (step.mtta_seconds is not None) + (step.mttr_seconds is not None)
        stops += step.stops_paging
        incident = replace(
            incident, status=step.status, acknowledged_at=step.acknowledged_at, resolved_at=step.resolved_at
        )
        assert (before.status, incident.status) in ALLOWED
        assert before.acknowledged_at in {None, incident.acknowledged_at}
        assert incident.acknowledged_at is not None
        assert CREATED <= incident.acknowledged_at <= (incident.resolved_at or datetime.max.replace(tzinfo=UTC))
    assert (incident.status is RESOLVED) == (incident.resolved_at is not None)
    assert measured <= 2
    assert stops <= 2


@given(
    st.sampled_from(IncidentStatus),
    st.builds(
        ChangeIncident,
        status=st.none() | st.sampled_from(IncidentStatus),
        notes=st.none() | st.just("looking"),
        assigned_to=st.none() | st.just("Bob"),
        severity=st.none() | st.sampled_from(Severity),
        title=st.none() | st.sampled_from(["Checkout answers 5xx", "Checkout is down"]),
    ),
)
def test_a_change_is_applied_or_refused_as_a_whole_and_its_repeat_changes_only_the_note(
    status: IncidentStatus, wanted: ChangeIncident
) -> None:
    def plan(incident: StoredIncident) -> tuple[StoredIncident, list[EventType]]:
        change = plan_change(incident, wanted, actor="dele", note_id=new_id(), now=CREATED + timedelta(hours=1))
        return change.incident, [entry.event_type for entry in change.entries]

    before = an_incident(status)
    try:
        after, events = plan(before)
    except ConflictError:
        assert wanted.status is not None
        assert (status, wanted.status) not in ALLOWED
        return
    assert after.version == before.version + bool(events)
    assert after.status is (wanted.status or before.status)
    assert after.title == (wanted.title or before.title)
    assert after.severity is (wanted.severity or before.severity)
    assert after.assigned_to == (wanted.assigned_to or before.assigned_to)
    assert (EventType.NOTE_ADDED in events) == (wanted.notes is not None)
    assert plan(after)[1] == ([EventType.NOTE_ADDED] if wanted.notes else [])
