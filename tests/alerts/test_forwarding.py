"""Calls to incident management, and the links that they lead to."""

import asyncio
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from tests.alerts.conftest import QUICK_GRACE, Start
from tests.fakes.incidents import FakeIncidents
from tests.support.alerts.api import ALERTMANAGER, Service
from tests.support.waiting import AN_HOUR, eventually
from tocsin.alerts.domain import StoredAlert, StoreResult
from tocsin.alerts.service import forwarder
from tocsin.alerts.service.correlator import Correlator, Results
from tocsin.alerts.settings import Settings
from tocsin.contracts.alerts import AlertAction, AlertStatus
from tocsin.contracts.model import Severity
from tocsin.kernel import clock
from tocsin.kernel.ids import new_id
from tocsin.kernel.tasks import create_task

UNFORWARDED = "SELECT alert_id FROM alerts.correlation WHERE forwarded_version < version"


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


async def test_an_alert_is_sent_once_although_the_call_takes_longer_than_its_sender_waits(
    start: Start, incidents: FakeIncidents
) -> None:
    service = await start(correlate_timeout_seconds=0.05, lease_seconds=AN_HOUR)
    late = incidents.delay_next()
    answer = await service.send(expect=202)
    assert answer["action"] == "pending"
    late.set()

    async def linked() -> bool:
        return bool((await service.alert(answer["alert_id"]))["action"] == "new_incident")

    await eventually(linked)
    assert [state.version for state in incidents.received] == [1]
    assert not service.rows(UNFORWARDED)


class SlowCorrelator(Correlator):
    """Incident management that responds once `responds` is set."""

    def __init__(self) -> None:
        self.responds = asyncio.Event()
        self.sent: list[StoredAlert] = []

    async def send(self, alerts: Sequence[StoredAlert], *_: Any, **__: Any) -> Results:
        self.sent += alerts
        await self.responds.wait()
        return {}

    async def has_sent(self, number: int) -> None:
        """Wait until it has sent *number* alerts."""
        await eventually(lambda: len(self.sent) == number)


async def test_an_alert_that_is_overdue_while_it_waits_for_a_call_is_left_to_the_worker() -> None:
    """The worker sends it; incident management must not get it twice."""
    settings = Settings.model_validate({"database_url": "postgresql://host/name", "correlate_timeout_seconds": 0.05})
    slow = SlowCorrelator()
    waiting = forwarder.Forwarder(slow, settings)
    replies = [pending_reply(overdue_in=AN_HOUR) for _ in range(forwarder.MAX_CALLS)]
    for number, reply in enumerate(replies, start=1):
        waiting.enqueue([reply])
        await slow.has_sent(number)
    overdue, later = pending_reply(overdue_in=0.0), pending_reply(overdue_in=AN_HOUR)
    waiting.enqueue([overdue, later])
    assert [result.action for result in await overdue.results] == [AlertAction.PENDING]
    slow.responds.set()
    await slow.has_sent(forwarder.MAX_CALLS + 1)
    assert slow.sent == [reply.stored[0].alert for reply in (*replies, later)]


async def test_the_queue_for_calls_is_bounded_and_the_oldest_alerts_are_left_to_the_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forwarder, "MAX_QUEUED", 3)
    settings = Settings.model_validate({"database_url": "postgresql://host/name", "correlate_timeout_seconds": 30})
    slow = SlowCorrelator()
    waiting = forwarder.Forwarder(slow, settings)
    for number in range(1, forwarder.MAX_CALLS + 1):
        waiting.enqueue([pending_reply(overdue_in=AN_HOUR)])
        await slow.has_sent(number)
    replies = [pending_reply(overdue_in=AN_HOUR) for _ in range(5)]
    waiting.enqueue(replies)
    assert [reply.results.done() for reply in replies] == [True, True, False, False, False]
    slow.responds.set()
    await asyncio.gather(*(reply.results for reply in replies))
    assert slow.sent[forwarder.MAX_CALLS :] == [reply.stored[0].alert for reply in replies[2:]]


def pending_reply(*, overdue_in: float) -> forwarder.PendingReply:
    alert = StoredAlert(
        id=new_id(),
        version=1,
        incident_id=None,
        status=AlertStatus.FIRING,
        service="checkout",
        severity=Severity.HIGH,
        message="slow",
        labels={},
        source=None,
        dedup_key=None,
        occurrences=1,
        remark=None,
        fired_at=None,
        last_seen_at=clock.now(),
    )
    results: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
    stored = [StoreResult(alert.id, AlertAction.PENDING, alert)]
    return forwarder.PendingReply(stored, results, clock.monotonic() + overdue_in)
