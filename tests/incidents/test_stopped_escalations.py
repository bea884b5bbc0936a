"""Escalations that are stopped, or lost, although their incidents are unacknowledged."""

import asyncio
from uuid import UUID

import pytest

from tests.fakes.oncall import FakeOnCall
from tests.incidents.conftest import Query, StartReplica
from tests.support.incidents.api import Api, alert
from tests.support.waiting import eventually
from tocsin.incidents.service.escalations import reconcile, withdraw_unfounded
from tocsin.kernel.errors import UpstreamError
from tocsin.kernel.tasks import create_task

GAUGE = "tocsin_incidents_unescalated_incidents"


def resumed(oncall: FakeOnCall) -> list[UUID]:
    return [start.incident_id for start in oncall.starts if start.resume]


async def first_reconciliation(api: Api) -> None:
    """Wait until the service's own first reconciliation, at its start, has ended: the next one is an hour later."""

    async def ended() -> bool:
        return await api.metric('tocsin_worker_ticks_total{outcome="ok",worker="incident_reconciler"}') == 1

    await eventually(ended)


async def settled(api: Api, query: Query) -> None:
    """Wait until on-call has received everything that is queued, and every escalation is confirmed."""
    waiting = "SELECT key FROM incidents.outbox WHERE done_at IS NULL"
    unconfirmed = "SELECT id FROM incidents.incident WHERE status = 'open' AND escalation_confirmed_at IS NULL"
    await first_reconciliation(api)
    await eventually(lambda: not query(waiting) and not query(unconfirmed))


async def test_an_escalation_that_somebody_stopped_is_resumed_and_counted_meanwhile(
    start_replica: StartReplica, oncall: FakeOnCall
) -> None:
    api = await start_replica(reconcile_seconds=0.2)
    incident, other = await api.open(), await api.open(service="search")
    await eventually(lambda: {incident.id, other.id} <= oncall.escalations.keys())
    oncall.stop_directly(incident.id)

    async def counted() -> bool:
        return await api.metric(GAUGE) == 1

    await eventually(counted)
    await eventually(lambda: resumed(oncall) == [incident.id])

    async def none_left() -> bool:
        return await api.metric(GAUGE) == 0

    await eventually(none_left)
    assert resumed(oncall) == [incident.id]
    assert oncall.escalations[incident.id].stopped_at is None


async def test_an_escalation_that_on_call_lost_is_started_again_though_it_was_confirmed(
    api: Api, oncall: FakeOnCall, query: Query
) -> None:
    incident = await api.open()
    await settled(api, query)
    oncall.escalations.clear()
    assert await withdraw_unfounded(api.deps) == 1
    await reconcile(api.deps, older_than=0.0)
    await settled(api, query)
    assert incident.id in oncall.escalations
    assert await withdraw_unfounded(api.deps) == 0


async def test_nothing_is_resumed_while_everything_runs(api: Api, oncall: FakeOnCall, query: Query) -> None:
    await api.correlate(*(alert(service=f"service-{number}") for number in range(3)))
    await settled(api, query)
    assert await withdraw_unfounded(api.deps) == 0
    await reconcile(api.deps, older_than=0.0)
    assert [what for what, _ in oncall.calls] == ["start", "start", "start", "compare"]


@pytest.mark.parametrize("status", ["acknowledged", "in_progress", "resolved"])
async def test_an_escalation_that_stopped_because_of_its_incident_stays_stopped(
    api: Api, oncall: FakeOnCall, query: Query, status: str
) -> None:
    incident = await api.open()
    await settled(api, query)
    await api.change(incident.id, status=status)
    await eventually(lambda: len(oncall.stops) == 1)
    assert await withdraw_unfounded(api.deps) == 0
    await reconcile(api.deps, older_than=0.0)
    assert oncall.count("compare", incident.id) == 0
    assert not resumed(oncall)


async def test_an_incident_that_is_acknowledged_or_opened_during_the_comparison_is_not_paged_again(
    api: Api, oncall: FakeOnCall, query: Query
) -> None:
    incident = await api.open()
    await settled(api, query)
    oncall.hold()
    comparison = create_task(withdraw_unfounded(api.deps), name="comparison")
    await eventually(lambda: oncall.count("compare", incident.id) == 1)
    await api.change(incident.id, status="acknowledged")
    [opened] = await api.correlate(alert(service="search"))
    oncall.stop_directly(incident.id)
    oncall.release()
    assert await comparison == 0
    await reconcile(api.deps, older_than=0.0)
    await settled(api, query)
    assert not resumed(oncall)
    assert oncall.count("start", UUID(opened["incident_id"])) == 1


async def test_an_incident_that_is_acknowledged_before_it_is_resumed_is_stopped_afterwards(
    api: Api, oncall: FakeOnCall, query: Query
) -> None:
    incident = await api.open()
    await settled(api, query)
    oncall.stop_directly(incident.id)
    assert await withdraw_unfounded(api.deps) == 1
    oncall.status = 503
    with pytest.raises(UpstreamError):
        await reconcile(api.deps, older_than=0.0)
    assert await api.metric(GAUGE) == 1, "on-call is unavailable"
    oncall.status = None
    await api.change(incident.id, status="acknowledged")
    await reconcile(api.deps, older_than=0.0)
    await settled(api, query)
    assert not resumed(oncall), "acknowledged before the lock"

    second = await api.open(service="search")
    await settled(api, query)
    oncall.stop_directly(second.id)
    await withdraw_unfounded(api.deps)
    await reconcile(api.deps, older_than=0.0)
    await api.change(second.id, status="acknowledged")
    await settled(api, query)
    calls = [what for what, incident_id in oncall.calls if incident_id == second.id and what in {"start", "stop"}]
    assert calls == ["start", "start", "stop"], "acknowledged after it"


async def test_an_escalation_that_was_stopped_before_its_start_is_resumed(
    api: Api, oncall: FakeOnCall, query: Query
) -> None:
    oncall.status = 503
    incident = await api.open()
    oncall.escalations[incident.id] = oncall.escalation(incident.id)
    oncall.stop_directly(incident.id)
    oncall.status = None
    await eventually(lambda: not query("SELECT key FROM incidents.outbox WHERE done_at IS NULL"))
    await reconcile(api.deps, older_than=0.0)
    await settled(api, query)
    assert resumed(oncall) == [incident.id]


async def test_two_replicas_resume_an_escalation_once(
    start_replica: StartReplica, oncall: FakeOnCall, query: Query
) -> None:
    replicas = [await start_replica(), await start_replica()]
    incident = await replicas[0].open()
    await settled(replicas[0], query)
    oncall.stop_directly(incident.id)
    await asyncio.gather(*(withdraw_unfounded(replica.deps) for replica in replicas * 3))
    await asyncio.gather(*(reconcile(replica.deps, older_than=0.0) for replica in replicas * 3))
    await settled(replicas[0], query)
    assert resumed(oncall) == [incident.id]


async def test_an_on_call_service_of_the_release_before_is_not_compared_with(
    api: Api, oncall: FakeOnCall, query: Query
) -> None:
    await api.open()
    await settled(api, query)
    oncall.compares = False
    assert await withdraw_unfounded(api.deps) == 0


async def test_thousands_of_escalations_are_compared_a_thousand_at_a_time(
    api: Api, oncall: FakeOnCall, query: Query
) -> None:
    await first_reconciliation(api)
    made = """
        INSERT INTO incidents.incident (id, title, service, severity, created_at, escalation_confirmed_at)
        SELECT gen_random_uuid(), 'x', 'x', 'low', tocsin.now() - (n / 2) * interval '1 second', tocsin.now()
        FROM generate_series(1, 2100) AS n RETURNING id
    """
    ids = [row["id"] for row in query(made)]
    oncall.escalations = {incident_id: oncall.escalation(incident_id) for incident_id in ids[:-1]}
    assert await withdraw_unfounded(api.deps) == 1
    assert [what for what, _ in oncall.calls] == ["compare"] * 3
