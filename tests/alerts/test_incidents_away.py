"""Incident management unavailable, slow, or failing: alerts are accepted all the same, and forwarded later."""

import asyncio
from typing import Any

import pytest

from tests.alerts.conftest import QUICK_GRACE, Start
from tests.fakes.incidents import FakeIncidents
from tests.support.alerts.api import ALERTMANAGER, Service
from tests.support.table_lock import locked
from tests.support.waiting import AN_HOUR, eventually
from tocsin.kernel.failpoints import FailpointKind
from tocsin.kernel.tasks import create_task

UNFORWARDED = "SELECT alert_id FROM alerts.correlation WHERE forwarded_version < version"


@pytest.fixture
async def service(start: Start) -> Service:
    return await start(**QUICK_GRACE)


async def correlated(service: Service, alert_id: str) -> dict[str, Any]:
    """Wait until an alert has its incident; return it."""

    async def linked() -> dict[str, Any]:
        found = await service.alert(alert_id)
        return found if found["incident_id"] else {}

    return await eventually(linked)


async def test_an_alert_is_accepted_during_an_outage_and_forwarded_after_it(
    service: Service, incidents: FakeIncidents
) -> None:
    await incidents.stop()
    answer = await service.send(expect=202)
    assert answer["incident_id"] is None
    assert (answer["status"], answer["action"]) == ("accepted", "pending")
    assert (await service.alert(answer["alert_id"]))["action"] == "pending"
    await incidents.start()
    assert (await correlated(service, answer["alert_id"]))["action"] == "new_incident"


async def test_a_sender_does_not_wait_for_slow_incident_management(start: Start, incidents: FakeIncidents) -> None:
    service = await start(correlate_timeout_seconds=0.1, **QUICK_GRACE)
    incidents.hold()
    answer = await service.send(expect=202)
    incidents.release()
    await correlated(service, answer["alert_id"])


@pytest.mark.parametrize("status", [0, 500, 503, 429, 400, 422])
async def test_an_error_response_leaves_the_alert_to_the_worker(
    service: Service, incidents: FakeIncidents, status: int
) -> None:
    incidents.statuses.extend([status, status])
    answer = await service.send(expect=202)
    await correlated(service, answer["alert_id"])
    assert len(incidents.known) == 1
    assert len(set(incidents.keys)) == len(incidents.keys)


async def test_forwarding_again_after_a_lost_response_is_a_no_op(service: Service, incidents: FakeIncidents) -> None:
    incidents.loses_answers = 1
    answer = await service.send(expect=202)
    assert (await correlated(service, answer["alert_id"]))["action"] == "new_incident"
    assert [state.version for state in incidents.received] == [1, 1]
    assert await service.metric('alerts_correlated_total{result="new_incident"}') == 1


async def test_after_three_failures_senders_do_not_wait_until_it_recovers(
    start: Start, incidents: FakeIncidents
) -> None:
    service = await start(breaker_seconds=60.0)
    incidents.statuses.extend([503] * 3)
    for _ in range(6):
        await service.send(expect=202)
    assert len(incidents.batches) == 3


async def test_the_circuit_breaker_closes_again(start: Start, incidents: FakeIncidents) -> None:
    service = await start(breaker_seconds=0.05)
    incidents.statuses.extend([503] * 4)

    async def is_correlated() -> bool:
        return bool((await service.send(expect=None))["status"] == "correlated")

    await eventually(is_correlated)
    assert await is_correlated()
    assert len(incidents.batches) >= 6


@pytest.mark.slow
async def test_a_backlog_is_forwarded_and_measured(service: Service, incidents: FakeIncidents) -> None:
    await incidents.stop()
    answers = await asyncio.gather(*(service.send(expect=202, message=f"{number}") for number in range(120)))

    async def waits() -> bool:
        number = await service.metric("tocsin_alerts_uncorrelated")
        return number == 120 and await service.metric("tocsin_alerts_uncorrelated_oldest_seconds") > 0

    await eventually(waits)
    await incidents.start()
    await eventually(lambda: not service.rows(UNFORWARDED))
    assert len(incidents.known) == len(answers)

    async def is_measured() -> bool:
        return await service.metric("tocsin_alerts_uncorrelated") == 0

    await eventually(is_measured)


async def test_a_backlog_is_forwarded_by_another_replica(start: Start, incidents: FakeIncidents) -> None:
    first = await start(poll_seconds=3_600.0, **QUICK_GRACE)
    await incidents.stop()
    answer = await first.send(expect=202)
    await first.client.server.close()
    second = await start(**QUICK_GRACE)
    await incidents.start()
    await correlated(second, answer["alert_id"])


@pytest.mark.slow
async def test_a_rejected_alert_is_postponed_and_the_others_are_forwarded(
    service: Service, incidents: FakeIncidents
) -> None:
    await incidents.stop()
    answers = await asyncio.gather(*(service.send(expect=202, message=f"{number}") for number in range(40)))
    incidents.refuses = lambda state: state.message == "17"
    await incidents.start()
    await eventually(lambda: len(service.rows(UNFORWARDED)) == 1)
    assert [str(row["alert_id"]) for row in service.rows(UNFORWARDED)] == [answers[17]["alert_id"]]

    async def is_counted() -> bool:
        return await service.metric("tocsin_alerts_refused_total") >= 1

    await eventually(is_counted)
    incidents.refuses = lambda _: False
    await correlated(service, answers[17]["alert_id"])


async def test_an_alert_whose_forwarding_fails_while_its_row_is_locked_does_not_wait_for_the_end_of_its_lease(
    start: Start, incidents: FakeIncidents, db_dsn: str
) -> None:
    service = await start(lease_seconds=AN_HOUR, db_lock_timeout_seconds=0.1, **QUICK_GRACE)
    incidents.statuses.append(503)
    answer = await service.send(expect=202)
    incidents.hold()
    incidents.statuses.append(503)
    await eventually(lambda: len(incidents.batches) == 2)
    async with locked(db_dsn, "alerts.correlation") as lock:
        incidents.release()
        await lock.waited(3)
    await correlated(service, answer["alert_id"])


async def test_an_alert_that_cannot_be_correlated_yet_does_not_delay_others(
    service: Service, incidents: FakeIncidents
) -> None:
    incidents.holds_up = lambda state: state.service == "stuck"
    group = {"alerts": [{"labels": {"service": service}} for service in ("stuck", "free")]}
    stuck, free = (await service.post(ALERTMANAGER, group))["alerts"]
    assert (stuck["action"], free["action"]) == ("pending", "new_incident")
    assert (await service.send(service="free"))["incident_id"] != stuck["incident_id"]
    incidents.holds_up = lambda _: False
    assert (await correlated(service, stuck["alert_id"]))["action"] == "new_incident"


async def test_a_change_during_forwarding_is_forwarded_again(start: Start, incidents: FakeIncidents) -> None:
    replicas = [await start(**QUICK_GRACE), await start(**QUICK_GRACE)]
    incidents.hold()
    sending = asyncio.gather(
        replicas[0].send(dedup_key="disk"), replicas[1].send(dedup_key="disk"), replicas[0].send(dedup_key="disk")
    )
    await eventually(lambda: len(incidents.batches) >= 2)
    incidents.release()
    answers = await sending
    assert len({answer["incident_id"] for answer in answers}) == 1
    await eventually(lambda: not replicas[0].rows(UNFORWARDED))
    (row,) = replicas[0].rows("SELECT version, forwarded_version FROM alerts.correlation")
    assert row["version"] == row["forwarded_version"]
    assert max(state.occurrences for state in incidents.received) == 3


async def test_a_late_response_does_not_overwrite_a_newer_link(start: Start, incidents: FakeIncidents) -> None:
    slow, quick = [await start(), await start()]
    late = incidents.delay_next()
    sending = create_task(slow.send(dedup_key="disk"), name="slow")
    await eventually(lambda: incidents.known)
    (known,) = incidents.known.values()
    incidents.resolve(known.incident_id)
    moved = await quick.send(dedup_key="disk")
    late.set()
    await sending
    stored = await quick.alert(moved["alert_id"])
    assert stored["incident_id"] == moved["incident_id"] != str(known.incident_id)
    assert not quick.rows(UNFORWARDED)


async def test_a_response_overtaken_by_that_to_the_resolve_still_sets_the_action(
    start: Start, incidents: FakeIncidents
) -> None:
    slow, quick = [await start(), await start()]
    late = incidents.delay_next()
    sending = create_task(slow.send(dedup_key="disk", key="fire"), name="slow")
    await eventually(lambda: incidents.known)
    ended = await quick.send(dedup_key="disk", status="resolved")
    late.set()
    fired = await sending
    assert (fired["action"], ended["action"]) == ("new_incident", "resolved")
    assert await quick.send(dedup_key="disk", key="fire") == fired
    assert (await quick.alert(fired["alert_id"]))["status"] == "resolved"
    assert not quick.rows(UNFORWARDED)


@pytest.mark.parametrize("kind", [FailpointKind.RAISE, FailpointKind.EXECUTE_THEN_RAISE])
@pytest.mark.parametrize("point", ["alerts.commit", "alerts.forward", "alerts.link", "alerts.lease_overdue"])
async def test_a_fault_at_a_step_boundary_is_recovered_from(
    service: Service, incidents: FakeIncidents, monkeypatch: pytest.MonkeyPatch, point: str, kind: FailpointKind
) -> None:
    if point == "alerts.lease_overdue":
        incidents.statuses.append(503)
    monkeypatch.setenv("FAILPOINT", f"{point}:{kind}")
    answers = await asyncio.gather(*(service.send(expect=None, dedup_key=f"{number % 3}") for number in range(12)))
    assert len({answer["alert_id"] for answer in answers}) == 3
    await eventually(lambda: not service.rows(UNFORWARDED))
    assert service.rows("SELECT count(*), sum(occurrences) AS seen FROM alerts.alert") == [{"count": 3, "seen": 12}]
    linked = service.rows("SELECT DISTINCT incident_id::text AS id FROM alerts.correlation")
    assert [row["id"] for row in linked] == list({str(known.incident_id) for known in incidents.known.values()})
