import asyncio

import pytest

from tests.fakes.oncall import FakeOnCall
from tests.incidents.conftest import Query, StartReplica
from tests.support.incidents.api import Api, alert
from tests.support.waiting import eventually
from tocsin.contracts.incidents import AppendTimelineEntry, EventType
from tocsin.incidents.service.escalations import reconcile

GAUGE = "tocsin_incidents_unescalated_incidents"


async def forgotten(api: Api, query: Query) -> str:
    """Open an incident whose escalation was started but whose confirmation was lost."""
    incident = await api.open()
    # Beside the loop: the service, which runs on it, may be holding the row.
    forget = "UPDATE incidents.incident SET escalation_confirmed_at = NULL, assigned_to = NULL, team = NULL"
    await asyncio.to_thread(query, forget)
    return str(incident.id)


@pytest.mark.slow
async def test_an_incident_that_on_call_lost_is_started_again(
    start_replica: StartReplica, oncall: FakeOnCall, query: Query
) -> None:
    api = await start_replica(reconcile_seconds=0.2)
    oncall.status = 503
    incident = await api.open()
    query("DELETE FROM incidents.outbox")

    async def exported() -> bool:
        return await api.metric(GAUGE) == 1

    await eventually(exported)
    oncall.status = None

    async def confirmed() -> bool:
        return (await api.show(incident.id)).assigned_to == "Alice"

    await eventually(confirmed)

    async def none_left() -> bool:
        return await api.metric(GAUGE) == 0

    await eventually(none_left)
    assert len(oncall.starts) == 1


async def test_an_escalation_whose_confirmation_was_lost_is_queried_and_not_started_again(
    api: Api, oncall: FakeOnCall, query: Query
) -> None:
    incident_id = await forgotten(api, query)
    assert await reconcile(api.deps, older_than=0.0) is False
    shown = await api.show(incident_id)
    assert (shown.assigned_to, shown.team) == ("Alice", "platform")
    assert [what for what, _ in oncall.calls] == ["start", "ask"]
    await reconcile(api.deps, older_than=0.0)
    assert [what for what, _ in oncall.calls] == ["start", "ask"]


async def test_an_incident_that_is_young_acknowledged_or_queued_is_left_alone(
    start_replica: StartReplica, oncall: FakeOnCall, query: Query
) -> None:
    api = await start_replica(assign_seconds=0)
    incident_id = await forgotten(api, query)
    await reconcile(api.deps, older_than=3600.0)
    await api.change(incident_id, status="acknowledged")
    await reconcile(api.deps, older_than=0.0)
    oncall.hold()
    await api.open(service="search")
    await reconcile(api.deps, older_than=0.0)
    oncall.release()
    assert "ask" not in [what for what, _ in oncall.calls]


async def test_two_replicas_that_find_the_same_start_it_once(
    start_replica: StartReplica, oncall: FakeOnCall, query: Query
) -> None:
    replicas = [await start_replica(), await start_replica()]
    incident_id = await forgotten(replicas[0], query)
    oncall.escalations.clear()
    await asyncio.gather(*(reconcile(replica.deps, older_than=0.0) for replica in replicas * 3))

    async def confirmed() -> bool:
        return (await replicas[1].show(incident_id)).team == "platform"

    await eventually(confirmed)
    rows = query("SELECT count(*) FROM incidents.outbox WHERE key = %(key)s", key=incident_id)
    assert rows == [{"count": 2}], "the first one, and one more"


async def test_a_start_that_on_call_refused_is_parked_and_retried_until_it_is_accepted(
    start_replica: StartReplica, oncall: FakeOnCall, query: Query
) -> None:
    api = await start_replica(assign_seconds=0, reconcile_seconds=0.2)
    oncall.status = 422
    incident = await api.open()

    def parked() -> bool:
        return query("SELECT count(*) FROM incidents.outbox WHERE parked_at IS NOT NULL") == [{"count": 1}]

    await eventually(parked)
    oncall.status = None

    async def confirmed() -> bool:
        return (await api.show(incident.id)).assigned_to == "Alice"

    await eventually(confirmed)
    assert query("SELECT count(*) FROM incidents.outbox") == [{"count": 1}], "the parked row itself went out"


@pytest.mark.slow
async def test_many_are_queried_a_hundred_at_a_time(
    start_replica: StartReplica, oncall: FakeOnCall, query: Query
) -> None:
    api = await start_replica(assign_seconds=0)
    await api.correlate(*(alert(service=f"service-{number}") for number in range(120)))
    await eventually(lambda: len(oncall.starts) == 120)

    def all_confirmed() -> bool:
        return query("SELECT count(*) FROM incidents.incident WHERE escalation_confirmed_at IS NULL") == [{"count": 0}]

    await eventually(all_confirmed)
    query("UPDATE incidents.incident SET escalation_confirmed_at = NULL")
    assert await reconcile(api.deps, older_than=0.0) is True
    assert await api.metric(GAUGE) == 120
    assert await reconcile(api.deps, older_than=0.0) is False
    assert all_confirmed()
    assert len(oncall.starts) == 120


async def test_alerts_correlate_while_on_call_is_down_and_everything_is_delivered_when_it_is_up(
    api: Api, oncall: FakeOnCall
) -> None:
    oncall.status = 503
    keyed = alert(dedup_key="k")
    [opened] = await api.correlate(keyed)
    await api.correlate(alert(service="search"))
    await api.change(opened["incident_id"], status="acknowledged", actor="priya")
    oncall.calls.clear()
    oncall.status = None
    await eventually(lambda: len(oncall.stops) == 1)
    await eventually(lambda: len(oncall.starts) == 2)
    calls = [what for what, incident_id in oncall.calls if str(incident_id) == opened["incident_id"]]
    assert calls == ["start", "stop"]


@pytest.mark.parametrize("kind", ["raise", "execute_then_raise"])
@pytest.mark.parametrize("point", ["incidents.start_escalation", "outbox.mark_done"])
async def test_what_a_start_adds_to_the_timeline_is_added_once(
    api: Api, oncall: FakeOnCall, monkeypatch: pytest.MonkeyPatch, point: str, kind: str
) -> None:
    oncall.timeline = [
        AppendTimelineEntry(
            event_key="paged:1", event_type=EventType.PAGED, actor="oncall-service", detail="Paged Alice", data={"n": 1}
        )
    ]
    monkeypatch.setenv("FAILPOINT", f"{point}:{kind}")
    incident = await api.open()

    async def settled() -> bool:
        return await api.metric('tocsin_outbox_deliveries_total{kind="start_escalation",outcome="done"}') == 1

    await eventually(settled)
    entries = (await api.show(incident.id)).timeline
    assert [entry.event_type for entry in reversed(entries)] == ["created", "assigned", "paged"]
    assert (entries[0].actor, entries[0].detail, entries[0].data) == ("oncall-service", "Paged Alice", {"n": 1})


@pytest.mark.parametrize("kind", ["raise", "execute_then_raise"])
@pytest.mark.parametrize("point", ["incidents.start_escalation", "incidents.stop_escalation"])
async def test_a_failed_delivery_is_retried_with_the_same_key(
    api: Api, oncall: FakeOnCall, monkeypatch: pytest.MonkeyPatch, point: str, kind: str
) -> None:
    monkeypatch.setenv("FAILPOINT", f"{point}:{kind}")
    incident = await api.open()
    await api.change(incident.id, status="acknowledged")
    await eventually(lambda: len(oncall.stops) >= 1)

    async def settled() -> bool:
        return await api.metric('tocsin_outbox_deliveries_total{kind="stop_escalation",outcome="done"}') == 1

    await eventually(settled)
    assert (await api.show(incident.id)).assigned_to == "Alice"
    twice = kind == "execute_then_raise"
    what = "start" if "start" in point else "stop"
    assert oncall.count(what, incident.id) == 1 + twice
    assert len(set(oncall.keys)) == 2, "one key for the start, one for the stop, whatever the number of tries"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["raise", "execute_then_raise"])
async def test_a_reconciliation_that_fails_half_way_is_done_by_the_next(
    start_replica: StartReplica, oncall: FakeOnCall, query: Query, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    api = await start_replica(reconcile_seconds=0.1)
    for point in ("incidents.query_escalations", "incidents.restart_escalations"):
        monkeypatch.setenv("FAILPOINT", f"{point}:{kind}")
        oncall.escalations.clear()
        incident_id = await forgotten(api, query)

        async def confirmed(incident_id: str = incident_id) -> bool:
            return (await api.show(incident_id)).assigned_to == "Alice"

        await eventually(confirmed)
        await api.change(incident_id, status="resolved")
