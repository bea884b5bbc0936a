"""A queue that another session locks: afterwards each outcome is recorded, and no page is sent twice."""

import asyncio

from structlog.testing import capture_logs

from tests.fakes.receiver import Receiver, answers, answers_when
from tests.notifications.conftest import Start
from tests.support.notifications.api import page
from tests.support.notifications.neighbours import Neighbours
from tests.support.postgres import run
from tests.support.table_lock import locked
from tests.support.waiting import AN_HOUR, eventually

TABLE = "notifications.notification"
BRIEF = {"lease_seconds": AN_HOUR, "db_lock_timeout_seconds": 0.1}
"""Statements that give up a lock soon, and leases that no test waits for."""


async def test_a_page_sent_while_the_queue_is_locked_is_recorded_and_not_sent_again(
    start: Start, receiver: Receiver, neighbours: Neighbours, db_dsn: str
) -> None:
    service = await start(**BRIEF)
    neighbours.responds.clear()
    receiver.behaves = answers_when(neighbours.responds, answers(204))
    notification = await service.notify(page(receiver.url))
    await eventually(lambda: neighbours.state_requests)
    async with locked(db_dsn, TABLE) as lock:
        neighbours.responds.set()
        await eventually(lambda: receiver.received)
        await lock.waited(3)
    assert (await service.ended(notification))["status"] == "sent"
    assert receiver.deliveries == [notification]


async def test_pages_of_an_acknowledged_incident_are_cancelled_after_a_lock_and_delay_no_others(
    start: Start, receiver: Receiver, neighbours: Neighbours, db_dsn: str
) -> None:
    service = await start(**BRIEF)
    neighbours.responds.clear()
    needed, needless = page(receiver.url), page(receiver.url)
    neighbours.states[needless["incident_id"]] = "acknowledged"
    ids = [await service.notify(order) for order in (needed, needless)]
    await eventually(lambda: sum(len(request) for request in neighbours.state_requests) == 2)
    async with locked(db_dsn, TABLE) as lock:
        neighbours.responds.set()
        await eventually(lambda: receiver.received)
        await lock.waited(6)
    assert [(await service.ended(notification))["status"] for notification in ids] == ["sent", "voided"]
    assert receiver.deliveries == [needed["notification_id"]]


async def test_a_cancellation_that_fails_for_another_reason_does_not_end_the_deliveries_beside_it(
    start: Start, receiver: Receiver, neighbours: Neighbours, db_dsn: str
) -> None:
    service = await start(**BRIEF)
    run(db_dsn, f"ALTER TABLE {TABLE} ADD CHECK (status <> 'voided')")
    neighbours.responds.clear()
    answered = asyncio.Event()
    receiver.behaves = answers_when(answered, answers(204))
    needed, needless = page(receiver.url), page(receiver.url)
    neighbours.states[needless["incident_id"]] = "acknowledged"
    ids = [await service.notify(order) for order in (needed, needless)]
    await eventually(lambda: sum(len(request) for request in neighbours.state_requests) == 2)
    with capture_logs() as lines:
        neighbours.responds.set()
        await eventually(lambda: receiver.received and any("failed" in line["event"] for line in lines))
    answered.set()
    assert (await service.ended(ids[0]))["status"] == "sent"
    assert receiver.deliveries == [needed["notification_id"]]
