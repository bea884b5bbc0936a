"""Messages are deleted after the retention."""

from datetime import timedelta

from tests.fakes.receiver import Receiver, answers
from tests.notifications.conftest import Start
from tests.support.notifications.api import Service, message
from tests.support.postgres import run
from tests.support.waiting import eventually

DELETED = "tocsin_retention_deleted_rows_total"


async def test_finished_messages_are_deleted_after_the_retention_with_their_attempts(
    service: Service, receiver: Receiver, db_dsn: str
) -> None:
    receiver.script.append(answers(410))
    failed = await service.notify(message(receiver.url))
    await service.ended(failed)
    sent = await service.notify(message(receiver.url))
    await service.ended(sent)
    service.move_clock(timedelta(days=399))
    later = await service.notify(message(receiver.url))
    await service.ended(later)
    service.move_clock(timedelta(days=401))
    await eventually(lambda: service.metric(DELETED, table="notification"))
    assert [item["id"] for item in await service.listed()] == [later]
    assert await service.metric(DELETED, table="notification") == 2
    attempts = run(db_dsn, "SELECT DISTINCT notification_id::text AS id FROM notifications.attempt")
    assert attempts == [{"id": later}]


async def test_nothing_is_deleted_with_a_retention_of_0_days(start: Start, receiver: Receiver) -> None:
    service = await start(notification_retention_days=0)
    sent = await service.notify(message(receiver.url))
    await service.ended(sent)
    service.move_clock(timedelta(days=4_000))
    await service.ended(await service.notify(message(receiver.url)))
    assert await service.find(sent)
