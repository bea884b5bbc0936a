import asyncio

import pytest

from tests.alerts.conftest import Start
from tests.fakes.incidents import FakeIncidents
from tests.support.alerts.api import ALERTMANAGER, ALERTS, Service, alert, payload
from tests.support.release_skew import two_releases
from tests.support.waiting import eventually
from tocsin.contracts.alerts import AlertIn
from tocsin.kernel.tasks import create_task


async def test_a_retry_has_no_second_effect_and_gets_the_first_response(
    service: Service, incidents: FakeIncidents
) -> None:
    first = await service.send(key="k-1")
    assert await service.send(key="k-1") == first
    assert len(await service.found()) == 1
    assert len(incidents.received) == 1
    other = await service.send(key="k-2")
    assert other["alert_id"] != first["alert_id"]


async def test_the_same_key_many_times_at_once_at_two_replicas_has_one_effect(
    start: Start, incidents: FakeIncidents
) -> None:
    replicas = [await start(), await start()]
    answers = await asyncio.gather(
        *(replicas[number % 2].send(key="k-1", expect=None, dedup_key=None) for number in range(40))
    )
    assert len({answer["alert_id"] for answer in answers}) == 1
    assert {answer["action"] for answer in answers} <= {"new_incident", "pending"}
    assert len(await replicas[0].found()) == 1
    assert len(incidents.known) == 1


@pytest.mark.parametrize("running", [True, False])
async def test_the_same_key_with_another_body_is_refused(
    service: Service, incidents: FakeIncidents, *, running: bool
) -> None:
    if running:
        incidents.hold()
    first = create_task(service.send(key="k-1", expect=None), name="first")
    await eventually(lambda: incidents.batches if running else first.done())
    refused = await service.send(key="k-1", message="something else", expect=422)
    assert refused["errors"][0]["pointer"] == "Idempotency-Key"
    incidents.release()
    await first
    assert len(await service.found()) == 1


async def test_the_same_key_at_another_address_is_refused(service: Service) -> None:
    await service.send(key="k-1")
    await service.post(ALERTMANAGER, payload("alertmanager", "0.25-firing"), expect=422, key="k-1")


async def test_the_response_to_a_group_is_rebuilt_for_a_retry(service: Service) -> None:
    group = payload("alertmanager", "0.25-firing")
    first = await service.post(ALERTMANAGER, group, key="k-1")
    second = await service.post(ALERTMANAGER, group, key="k-2")
    resolved = await service.post(ALERTMANAGER, payload("alertmanager", "0.25-one-resolved"), key="k-3")
    assert await service.post(ALERTMANAGER, group, key="k-1") == first
    assert await service.post(ALERTMANAGER, group, key="k-2") == second
    assert await service.post(ALERTMANAGER, payload("alertmanager", "0.25-one-resolved"), key="k-3") == resolved
    assert service.rows("SELECT sum(occurrences) AS seen FROM alerts.alert") == [{"seen": 5}]


async def test_the_response_to_an_ignored_resolve_is_rebuilt_for_a_retry(service: Service) -> None:
    ignored = await service.send(key="k-1", dedup_key="disk", status="resolved")
    assert ignored["action"] == "ignored"
    assert await service.send(key="k-1", dedup_key="disk", status="resolved") == ignored


async def test_a_key_does_not_expire(service: Service) -> None:
    first = await service.send(key="k-1")
    service.rows("UPDATE alerts.request SET created_at = created_at - interval '1 year'")
    assert await service.send(key="k-1") == first
    assert len(await service.found()) == 1


async def test_an_invalid_key_is_refused(service: Service) -> None:
    for key in ("", "x" * 256):
        await service.post(ALERTS, alert(), expect=422, key=key)
    await service.post(ALERTS, alert(), expect=201, key="x" * 255)


@pytest.mark.parametrize("newer_first", [False, True])
async def test_a_retry_that_crosses_a_deploy_is_a_replay(service: Service, *, newer_first: bool) -> None:
    answers = []
    for release in two_releases(AlertIn, newer_first=newer_first):
        with release:
            answers.append(await service.send(key="k-1"))
    assert answers[0] == answers[1]
