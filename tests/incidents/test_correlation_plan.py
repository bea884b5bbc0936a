"""Correlation as a pure function, against a model of the tables."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tests.support.incidents.tables import NOW, WINDOW, World, alert
from tocsin.contracts.alerts import AlertAction, AlertStatus
from tocsin.contracts.incidents import AlertState, Correlation, EventType, IncidentStatus
from tocsin.incidents.domain.timeline_entries import timeline_entries


@st.composite
def batches(draw: st.DrawFn) -> list[list[AlertState]]:
    """Histories of few alerts, of few correlation keys, whose versions rise, cut into batches."""
    events = draw(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(AlertStatus)), max_size=24))
    versions: dict[int, int] = defaultdict(int)
    fired: set[int] = set()
    states = []
    for number, status in events:
        versions[number] += 1
        if status is AlertStatus.FIRING:
            fired.add(number)
        states.append(
            alert(
                number,
                version=versions[number],
                status=status,
                service=("checkout", "search")[number % 2],
                fired_at=NOW if number in fired else None,
            )
        )
    cuts = sorted(draw(st.lists(st.integers(0, len(states)), max_size=6)))
    return [states[start:end] for start, end in zip([0, *cuts], [*cuts, len(states)], strict=True)]


def places(results: Sequence[Correlation]) -> list[UUID | None]:
    return [result.incident_id for result in results]


@given(batches(), st.booleans())
def test_each_alert_has_one_result_in_order_and_at_most_one_incident(
    history: list[list[AlertState]],
    auto_resolve: bool,  # noqa: FBT001 - hypothesis passes by position
) -> None:
    world = World(auto_resolve)
    for batch in history:
        plan = world.correlate(batch)
        assert [result.alert_id for result in plan.results] == [item.alert_id for item in batch]
        for result in plan.results:
            assert (result.incident_id is None) == (result.action is AlertAction.IGNORED)
            if result.incident_id is not None:
                assert world.links[result.alert_id].incident_id == result.incident_id
        world.check()


@given(batches(), st.booleans())
def test_a_retried_batch_changes_nothing_and_returns_the_same_results(
    history: list[list[AlertState]],
    auto_resolve: bool,  # noqa: FBT001
) -> None:
    world = World(auto_resolve)
    for batch in history:
        first = world.correlate(batch)
        incidents, links = dict(world.incidents), dict(world.links)
        again = world.correlate(batch)
        assert not again.opened
        assert not again.changed
        assert not again.new_links
        assert not again.known_links
        assert again.results == first.results
        assert (world.incidents, world.links) == (incidents, links)


@given(batches())
def test_where_a_history_is_cut_into_batches_does_not_matter(history: list[list[AlertState]]) -> None:
    whole, parts = World(auto_resolve=False), World(auto_resolve=False)
    states = [item for batch in history for item in batch]
    whole.correlate(states)
    for batch in history:
        parts.correlate(batch)

    # A resolve that came with its fire in one batch is linked, alone before it is not: compare what fires.
    def firing(world: World) -> set[tuple[UUID, str]]:
        return {
            (link.alert_id, world.incidents[link.incident_id].service)
            for link in world.links.values()
            if not link.resolved
        }

    assert firing(whole) == firing(parts)
    assert {item.service for item in whole.incidents.values()} == {item.service for item in parts.incidents.values()}


@given(batches())
def test_a_correlation_key_has_one_unresolved_incident_within_the_window(history: list[list[AlertState]]) -> None:
    world = World()
    for batch in history:
        world.correlate(batch)
        keys = [
            (item.service, item.severity)
            for item in world.incidents.values()
            if item.status is not IncidentStatus.RESOLVED
        ]
        assert len(keys) == len(set(keys))


@given(batches())
def test_an_incident_resolves_automatically_exactly_when_its_last_alert_recovers(
    history: list[list[AlertState]],
) -> None:
    world = World()
    for batch in history:
        world.correlate(batch)
        for incident in world.incidents.values():
            assert (incident.status is IncidentStatus.RESOLVED) == (incident.firing_count == 0)


@given(batches())
def test_the_timeline_has_at_most_one_entry_of_a_type_per_incident_and_batch(history: list[list[AlertState]]) -> None:
    world = World()
    for batch in history:
        for item in world.correlate(batch).deltas():
            types = [entry.event_type for entry in timeline_entries(item, WINDOW)]
            # Only an alert that fires again after its sender resolved it is counted without an entry.
            assert types or item.firing > 0
            assert len(types) == len(set(types))
            assert (EventType.CREATED in types) == item.opened
            assert (EventType.RESOLVED in types) == (item.transition is not None)


def test_a_known_alert_stays_with_its_incident_beyond_the_window() -> None:
    world = World()
    [first] = world.correlate([alert(1)]).results
    world.now = NOW + timedelta(hours=1)
    [repeat] = world.correlate([alert(1, version=2)]).results
    assert repeat.incident_id == first.incident_id
    assert repeat.action is AlertAction.REPEATED


def test_a_new_alert_joins_within_the_window_and_opens_after_it() -> None:
    world = World()
    [first] = world.correlate([alert(1)]).results
    world.now = NOW + WINDOW
    [second] = world.correlate([alert(2)]).results
    assert (second.incident_id, second.action) == (first.incident_id, AlertAction.ATTACHED)
    world.now = NOW + WINDOW + timedelta(microseconds=1)
    [third] = world.correlate([alert(3)]).results
    assert third.action is AlertAction.NEW_INCIDENT
    assert third.incident_id != first.incident_id


def test_an_alert_still_firing_after_a_person_resolved_its_incident_moves_to_a_new_one_with_its_next_repeat() -> None:
    world = World()
    [first] = world.correlate([alert(1)]).results
    assert first.incident_id is not None
    world.resolve(first.incident_id)
    plan = world.correlate([alert(1, version=2)])
    [second] = plan.results
    assert second.action is AlertAction.NEW_INCIDENT
    assert second.incident_id not in {None, first.incident_id}
    assert "still firing after #1 was resolved" in next(timeline_entries(plan.opened[0], WINDOW)).detail
    world.check()


def test_an_alert_without_a_key_blocks_auto_resolve() -> None:
    world = World()
    world.correlate([alert(1, dedup_key="a"), alert(2)])
    plan = world.correlate([alert(1, version=2, status=AlertStatus.RESOLVED, dedup_key="a")])
    [item] = plan.changed
    assert item.transition is None
    assert item.firing_left == 1


def test_an_alert_that_fired_and_recovered_before_it_was_reported_leaves_a_resolved_incident() -> None:
    world = World()
    plan = world.correlate([alert(1, status=AlertStatus.RESOLVED)])
    assert plan.results[0].action is AlertAction.RESOLVED
    assert [entry.event_type for entry in timeline_entries(plan.opened[0], WINDOW)] == [
        EventType.CREATED,
        EventType.ALERT_RESOLVED,
        EventType.RESOLVED,
    ]


def test_a_resolve_that_never_fired_opens_nothing() -> None:
    plan = World().correlate([alert(1, status=AlertStatus.RESOLVED, fired_at=None)])
    assert plan.results[0].action is AlertAction.IGNORED
    assert not plan.opened
    assert not plan.new_links
