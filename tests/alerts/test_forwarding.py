"""Calls to incident management, and the links that they lead to."""

import asyncio
from contextlib import closing

import psycopg2
import pytest

from tests.alerts.conftest import QUICK_GRACE, Start
from tests.fakes.incidents import FakeIncidents
from tests.support.alerts.api import ALERTMANAGER, Service
from tests.support.waiting import AN_HOUR, eventually
from tocsin.alerts.service import forwarder
from tocsin.kernel.tasks import create_task


async def test_alerts_that_arrive_during_a_call_are_in_the_next_one(
    service: Service, incidents: FakeIncidents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarder, "CALL_PATIENCE_SECONDS", AN_HOUR)
    incidents.hold()
    first = create_task(service.send(), name="first")
    await eventually(lambda: incidents.batches)
    others = [create_task(service.send(message=f"{number}"), name="other") for number in range(5)]
    await eventually(lambda: len(service.rows("SELECT id FROM alerts.alert")) == 6)
    incidents.release()
    answers = [await first, *await asyncio.gather(*others)]
    assert [len(batch) for batch in incidents.batches] == [1, 5]
    assert len({answer["incident_id"] for answer in answers}) == 1


async def test_a_slow_call_does_not_hold_up_other_alerts(service: Service, incidents: FakeIncidents) -> None:
    late = incidents.delay_next()
    slow = create_task(service.send(service="slow"), name="slow")
    await eventually(lambda: incidents.known)
    quick = await service.send(service="quick")
    assert not slow.done()
    late.set()
    assert (await slow)["incident_id"] != quick["incident_id"]


async def test_an_alert_whose_link_was_lost_gets_the_same_incident_again(start: Start) -> None:
    """The commit of a link does not wait for the disk: the database forgets it in a crash."""
    service = await start(**QUICK_GRACE)
    opened = await service.send(dedup_key="disk")
    attached = await service.send(message="another")
    await service.send(dedup_key="disk")
    service.rows("UPDATE alerts.correlation SET incident_id = NULL, action = 'pending', forwarded_version = 0")

    async def linked() -> bool:
        found = [await service.alert(answer["alert_id"]) for answer in (opened, attached)]
        return [(item["incident_id"], item["action"]) for item in found] == [
            (answer["incident_id"], answer["action"]) for answer in (opened, attached)
        ]

    await eventually(linked)


async def test_a_link_that_waits_for_a_batch_of_reports_holds_no_lock_that_the_batch_needs(
    service: Service, incidents: FakeIncidents
) -> None:
    incidents.hold()
    names = ("first", "second", "third")
    group = {"alerts": [{"labels": {"service": "disk", "name": name}, "fingerprint": name} for name in names]}
    posting = create_task(service.post(ALERTMANAGER, group), name="posting")
    await eventually(lambda: incidents.batches)
    ids = [row["alert_id"] for row in service.rows("SELECT alert_id FROM alerts.correlation ORDER BY alert_id")]

    def linked() -> list[bool]:
        rows = service.rows("SELECT incident_id IS NOT NULL AS linked FROM alerts.correlation ORDER BY alert_id")
        return [row["linked"] for row in rows]

    with closing(psycopg2.connect(service.dsn)) as batch, batch.cursor() as cursor:
        repeat = "UPDATE alerts.correlation SET version = version + 1 WHERE alert_id = %s"
        cursor.execute(repeat, [str(ids[1])])
        incidents.release()
        await eventually(lambda: linked() == [True, False, True])
        cursor.execute(repeat, [str(ids[0])])  # the database would see a deadlock here
        batch.commit()
    answers = (await posting)["alerts"]
    assert len({answer["incident_id"] for answer in answers}) == 1
    assert linked() == [True] * 3
