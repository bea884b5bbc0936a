"""The reports of a delivery to other services, and its metrics."""

import pytest

from tests.fakes.receiver import Receiver, answers, open_receiver
from tests.notifications.conftest import Start
from tests.support.notifications.api import Service, message, page
from tests.support.notifications.neighbours import Neighbours
from tests.support.postgres import run
from tests.support.waiting import eventually
from tocsin.contracts.contact_types import masked


async def test_a_delivery_is_reported_to_the_incident(
    service: Service, receiver: Receiver, neighbours: Neighbours
) -> None:
    receiver.script.append(answers(500))
    order = page(receiver.url.replace("://", "://robot:c4nary@"))
    await service.notify(order)
    ((incident, entry),) = await eventually(lambda: neighbours.timeline)
    shown = receiver.url.replace("://", "://***@").replace("/page", "/***")
    assert incident == order["incident_id"]
    assert entry == {
        "event_key": f"{order['notification_id']}:delivered",
        "event_type": "delivered",
        "actor": "notification-service",
        "detail": f"Webhook to Priya Raman ({receiver.url.replace('/page', '/…')}) delivered.",
        "data": {
            "notification_id": order["notification_id"],
            "channel": "webhook",
            "recipient": shown,
            "person": "Priya Raman",
            "attempts": 2,
            "code": 204,
        },
    }
    assert neighbours.failed == []


async def test_a_dead_letter_is_reported_to_the_incident_and_a_failed_page_to_on_call(
    service: Service, receiver: Receiver, neighbours: Neighbours
) -> None:
    receiver.behaves = answers(410, b"gone\nfor good")
    order, plain = page(receiver.url), message(receiver.url)
    shown = receiver.url.replace("/page", "/…")
    await service.notify(order)
    await service.notify(plain)
    await eventually(lambda: len(neighbours.timeline) == 2 and neighbours.failed)
    entries = dict(neighbours.timeline)
    entry = entries[order["incident_id"]]
    assert entry["event_type"] == "delivery_failed"
    assert entry["detail"] == f"Webhook to Priya Raman ({shown}) not delivered: HTTP 410: gone for good"
    assert (
        entries[plain["incident_id"]]["event_key"]
        == f"{(await service.listed(incident_id=plain['incident_id']))[0]['id']}:delivery_failed"
    )
    report = {"notification_id": order["notification_id"], "detail": "HTTP 410: gone\nfor good"}
    assert neighbours.failed == [(order["incident_id"], report)]


async def test_a_provider_that_repeats_the_address_reveals_it_neither_in_the_log_nor_to_other_services(
    service: Service, receiver: Receiver, neighbours: Neighbours, capfd: pytest.CaptureFixture[str]
) -> None:
    address = receiver.url + "/c4nary"
    receiver.behaves = answers(410, f"there is no {address.upper()} here".encode())
    await service.notify(page(address))
    await eventually(lambda: neighbours.timeline and neighbours.failed)
    (listed,) = (await service.listed())[:1]
    assert listed["attempts"][0]["answer"] == f"HTTP 410: there is no {masked(address)} here"
    found = "".join((*capfd.readouterr(), str(neighbours.timeline), str(neighbours.failed), str(listed)))
    assert "dead letter" in found
    assert "c4nary" not in found.lower()


async def test_nothing_is_reported_for_an_unknown_incident(
    service: Service, receiver: Receiver, neighbours: Neighbours, db_dsn: str
) -> None:
    neighbours.unknown = True
    receiver.behaves = answers(410)
    await service.ended(await service.notify(page(receiver.url)))

    def undelivered() -> bool:
        (row,) = run(db_dsn, "SELECT count(*) FILTER (WHERE done_at IS NOT NULL) AS done FROM notifications.outbox")
        return bool(row["done"] == 2)

    await eventually(undelivered)
    assert run(db_dsn, "SELECT * FROM notifications.outbox WHERE parked_at IS NOT NULL") == []


async def test_a_delivery_during_an_outage_of_incident_management_is_reported_later(
    start: Start, receiver: Receiver, neighbours: Neighbours
) -> None:
    async with open_receiver(host="127.0.0.1") as gone:
        unreachable = f"http://{gone.authority}"
    cut_off = await start(incident_management_url=unreachable)
    order = page(receiver.url)
    assert (await cut_off.ended(await cut_off.notify(order)))["status"] == "sent"
    await cut_off.client.close()
    await start()
    await eventually(lambda: neighbours.timeline_types(order["incident_id"]) == ["delivered"])


async def test_delivered_failed_and_cancelled_messages_are_measured(service: Service, receiver: Receiver) -> None:
    assert await service.metric("notifications_sent_total", channel="email", status="sent") == 0
    receiver.script.extend([answers(200), answers(500), answers(410)])
    for _ in range(2):
        await service.ended(await service.notify(page(receiver.url)))
    receiver.behaves = answers(503, Retry_After="60")
    await service.tried(await service.notify(message(receiver.url)))

    async def measured() -> bool:
        waiting = await service.metric("tocsin_notifications_queue_depth", channel="webhook")
        dead = await service.metric("tocsin_notifications_dead_letters", channel="webhook")
        return (waiting, dead) == (1, 1) and await service.metric("tocsin_notifications_queue_oldest_seconds") > 0

    await eventually(measured)
    counted = {
        (name, label): await service.metric(name, channel="webhook", **{key: label})
        for name, key, label in (
            ("notifications_sent_total", "status", "sent"),
            ("notifications_sent_total", "status", "failed"),
            ("tocsin_notifications_attempts_total", "outcome", "sent"),
            ("tocsin_notifications_attempts_total", "outcome", "retry"),
            ("tocsin_notifications_attempts_total", "outcome", "failed"),
        )
    }
    assert list(counted.values()) == [1, 1, 1, 2, 1], counted
    assert await service.metric("tocsin_notifications_delivery_seconds_count", channel="webhook") == 1
