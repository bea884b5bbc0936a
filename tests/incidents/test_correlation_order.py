"""Reordered states: ingestion makes several calls at once and retries lost ones."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tests.support.incidents.tables import World, alert
from tocsin.alerts.domain import StoredAlert, StoreResult, ingest_result
from tocsin.contracts.alerts import AlertAction, AlertStatus
from tocsin.contracts.incidents import AlertState, IncidentStatus

if TYPE_CHECKING:
    from uuid import UUID

CAME = {AlertAction.NEW_INCIDENT, AlertAction.ATTACHED}
Calls = list[list[AlertState]]


def history(number: int, statuses: Sequence[AlertStatus]) -> list[AlertState]:
    """Return the states of an alert that fires, then goes on as *statuses* say."""
    return [
        alert(number, version=version, status=status, dedup_key=str(number))
        for version, status in enumerate((AlertStatus.FIRING, *statuses), start=1)
    ]


def in_calls(draw: st.DrawFn, states: list[AlertState]) -> Calls:
    """Cut *states* into several calls."""
    cuts = sorted(draw(st.lists(st.integers(0, len(states)), max_size=6)))
    return [states[start:end] for start, end in zip([0, *cuts], [*cuts, len(states)], strict=True)]


@st.composite
def any_history(draw: st.DrawFn) -> Calls:
    """Return alerts of one correlation key with any histories, retried and in any order."""
    lives = draw(st.lists(st.lists(st.sampled_from(AlertStatus), max_size=4), min_size=1, max_size=4))
    states = [state for number, life in enumerate(lives) for state in history(number, life)]
    return in_calls(draw, draw(st.permutations(states + draw(st.lists(st.sampled_from(states), max_size=4)))))


@st.composite
def ingested_history(draw: st.DrawFn) -> Calls:
    """Alerts as one replica of ingestion has them, in calls that overtake each other.

    Each fires, is repeated, and may end, once: the key's next alert is another one.
    """
    lives = draw(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=4))
    waiting = [
        history(number, [AlertStatus.FIRING] * repeats + [AlertStatus.RESOLVED] * ends)
        for number, (repeats, ends) in enumerate(lives)
    ]
    stored = []
    while waiting:
        alert_states = draw(st.sampled_from(waiting))
        stored.append(alert_states.pop(0))
        waiting = [states for states in waiting if states]
    return draw(st.permutations(in_calls(draw, stored)))


@given(any_history())
def test_the_newest_state_of_each_alert_counts_in_any_order_of_arrival(calls: Calls) -> None:
    world = World()
    for call in calls:
        world.correlate(call)
        world.check()
        for incident in world.incidents.values():
            assert (incident.status is IncidentStatus.RESOLVED) == (incident.firing_count == 0)
    assert {link.alert_id: (link.version, link.resolved) for link in world.links.values()} == {
        state.alert_id: (state.version, state.status is AlertStatus.RESOLVED)
        for state in newest(chain.from_iterable(calls))
    }


@given(ingested_history())
def test_each_sender_gets_the_result_of_its_own_report_in_any_order_of_arrival(calls: Calls) -> None:
    world = World()
    for call in calls:
        results = {result.alert_id: result for result in world.correlate(newest(call)).results}
        for state in call:
            receipt = ingest_result(reported(state), results)
            assert receipt.incident_id == world.links[state.alert_id].incident_id
            ended = results[state.alert_id].action is AlertAction.RESOLVED
            # The sender of a fire that is resolved in the same call gets the resolution.
            came = CAME | ({AlertAction.RESOLVED} if ended else set())
            assert came >= {ingest_result(replace(reported(state), action=AlertAction.PENDING), results).action}
            assert receipt.action in {1: came, 2: {AlertAction.REPEATED}, 3: {AlertAction.RESOLVED}}[kind(state)]


def newest(call: Iterable[AlertState]) -> list[AlertState]:
    """Return the states that ingestion reports in one call: the newest of each alert."""
    found: dict[UUID, AlertState] = {}
    for state in call:
        found[state.alert_id] = max(found.get(state.alert_id, state), state, key=lambda item: item.version)
    return list(found.values())


def kind(state: AlertState) -> int:
    """Return 1 for what came first, 2 for a repeat, 3 for the end."""
    return 3 if state.status is AlertStatus.RESOLVED else min(state.version, 2)


def reported(state: AlertState) -> StoreResult:
    """Return what ingestion made of the report that led to *state*, before it knew an incident."""
    did = {1: AlertAction.PENDING, 2: AlertAction.REPEATED, 3: AlertAction.RESOLVED}[kind(state)]
    known = {name: value for name, value in vars(state).items() if name in StoredAlert.__dataclass_fields__}
    return StoreResult(state.alert_id, did, StoredAlert(**known, id=state.alert_id, incident_id=None))


def test_a_resolve_that_overtakes_its_fire_counts() -> None:
    world = World()
    fire, resolve = history(1, [AlertStatus.RESOLVED])
    [ended] = world.correlate([resolve]).results
    late = world.correlate([fire])
    assert (ended.action, late.results[0].action) == (AlertAction.RESOLVED, AlertAction.NEW_INCIDENT)
    assert not late.opened
    assert not late.changed
    assert [incident.status for incident in world.incidents.values()] == [IncidentStatus.RESOLVED]
