"""Dispatch: leases, rate limits, acknowledgements between attempts, and reports."""

import asyncio
from http import HTTPStatus
from typing import Any

import pytest

from tests.fakes.receiver import Receiver, answers, answers_when, open_receiver
from tests.notifications.conftest import Arm, Start
from tests.support.notifications.api import Service, message, page
from tests.support.notifications.neighbours import Neighbours
from tests.support.postgres import run
from tests.support.waiting import eventually
from tocsin.kernel.failpoints import FailpointKind
from tocsin.notifications.service.delivery import MARK, SEND

OK = answers(HTTPStatus.OK)


def make_due(dsn: str, notification_id: str) -> None:
    """Let a message wait, or be held, no longer."""
    sql = "UPDATE notifications.notification SET next_attempt_at = tocsin.now() WHERE id = %(id)s"
    run(dsn, sql, {"id": notification_id})


async def test_a_page_is_sent_at_once(start: Start, receiver: Receiver) -> None:
    service = await start(poll_seconds=60)
    for number in range(1, 6):
        await service.notify(page(receiver.url))
        await eventually(lambda: len(receiver.received) == number)  # noqa: B023 - called within this round only


async def test_pages_of_an_acknowledged_incident_are_cancelled(
    service: Service, receiver: Receiver, neighbours: Neighbours
) -> None:
    for state in ("acknowledged", "in_progress", "resolved"):
        order = page(receiver.url)
        neighbours.states[order["incident_id"]] = state
        found = await service.ended(await service.notify(order))
        assert (found["status"], found["reason"]) == ("voided", f"the incident is {state}")
        assert neighbours.timeline_types(order["incident_id"]) == []
    assert receiver.received == []
    assert await service.metric("notifications_sent_total", channel="webhook", status="voided") == 3


async def test_an_acknowledgement_between_two_attempts_cancels_the_second(
    service: Service, receiver: Receiver, neighbours: Neighbours, db_dsn: str
) -> None:
    receiver.script.append(answers(503, Retry_After="60"))
    order = page(receiver.url)
    notification = await service.notify(order)
    await service.tried(notification)
    neighbours.states[order["incident_id"]] = "acknowledged"
    make_due(db_dsn, notification)
    assert (await service.ended(notification))["status"] == "voided"
    assert len(receiver.received) == 1


async def test_a_redelivered_page_is_cancelled_only_by_a_later_acknowledgement(
    service: Service, receiver: Receiver, neighbours: Neighbours, db_dsn: str
) -> None:
    for answered_at, status in (("2001-01-01T00:00:00Z", "sent"), ("2101-01-01T00:00:00Z", "voided")):
        receiver.script += [answers(410), answers(503, Retry_After="60")]
        order = page(receiver.url)
        notification = await service.notify(order)
        await service.ended(notification)
        await service.post(f"/api/v1/notifications/{notification}/redeliver")
        await service.tried(notification, times=2)
        neighbours.states[order["incident_id"]] = "acknowledged"
        neighbours.answered_at[order["incident_id"]] = answered_at
        await asyncio.to_thread(make_due, db_dsn, notification)
        assert (await service.ended(notification))["status"] == status


async def test_a_plain_message_is_sent_without_requesting_the_state_of_its_incident(
    service: Service, receiver: Receiver, neighbours: Neighbours
) -> None:
    order = message(receiver.url)
    neighbours.states[order["incident_id"]] = "resolved"
    assert (await service.ended(await service.notify(order)))["status"] == "sent"
    assert neighbours.state_requests == []


@pytest.mark.slow
@pytest.mark.parametrize("trouble", ["unreachable", "silent", "refusing", "failing", "unknown"])
async def test_a_page_is_sent_if_the_state_of_its_incident_is_unknown(
    start: Start, receiver: Receiver, neighbours: Neighbours, trouble: str
) -> None:
    async with open_receiver(host="127.0.0.1") as gone:
        unreachable = f"http://{gone.authority}"
    neighbours.silent = trouble == "silent"
    neighbours.status = {"refusing": 422, "failing": 503}.get(trouble, 200)
    neighbours.unknown = trouble == "unknown"
    settings: dict[str, Any] = {"incident_management_url": unreachable} if trouble == "unreachable" else {}
    service = await start(incident_state_timeout_seconds=0.5 if trouble == "silent" else 30.0, **settings)
    order = page(receiver.url)
    neighbours.states[order["incident_id"]] = "acknowledged"
    assert (await service.ended(await service.notify(order)))["status"] == "sent"
    outcome = "ok" if trouble == "unknown" else "error"
    assert await service.metric("tocsin_notifications_state_requests_total", outcome=outcome) == 1


async def test_a_failed_request_for_states_is_retried(
    service: Service, receiver: Receiver, neighbours: Neighbours
) -> None:
    neighbours.failures = 2
    order = page(receiver.url)
    neighbours.states[order["incident_id"]] = "acknowledged"
    assert (await service.ended(await service.notify(order)))["status"] == "voided"
    assert receiver.received == []
    assert await service.metric("tocsin_notifications_state_requests_total", outcome="ok") == 1


async def test_many_pages_share_one_request_for_states(
    start: Start, receiver: Receiver, neighbours: Neighbours, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = [page(receiver.url) for _ in range(30)]
    with monkeypatch.context() as held:
        held.setattr("tocsin.notifications.worker.CONCURRENCY", 0)
        service = await start(sends_per_receiver=len(orders))
        await asyncio.gather(*(service.notify(order) for order in orders))
    await eventually(lambda: len(receiver.received) == len(orders))
    assert [sorted(ids) for ids in neighbours.state_requests] == [sorted(order["incident_id"] for order in orders)]


@pytest.mark.slow
async def test_a_slow_receiver_delays_only_its_own_messages(service: Service, receiver: Receiver) -> None:
    release = asyncio.Event()
    async with open_receiver() as slow:
        slow.behaves = answers_when(release, OK)  # longer than the rest takes, shorter than a send may take
        held = [await service.notify(message(slow.url)) for _ in range(40)]
        await eventually(lambda: slow.running == 8)
        quick = [await service.notify(order) for order in (page(receiver.url), message("console", channel="mock"))]
        for notification in quick:
            assert (await service.ended(notification))["status"] == "sent"
        assert slow.running == 8
        release.set()
        for notification in held:
            assert (await service.ended(notification))["status"] == "sent"
        assert slow.most_at_once == 8


async def test_after_an_outage_pages_go_first_and_the_newest_before_older_ones(
    start: Start, receiver: Receiver
) -> None:
    service = await start(sends_per_receiver=1)
    release = asyncio.Event()
    receiver.script.append(answers_when(release, OK))
    first = await service.notify(message(receiver.url))
    await eventually(lambda: receiver.running == 1)
    older, newer = [await service.notify(page(receiver.url)) for _ in range(2)]
    plain = await service.notify(message(receiver.url))
    release.set()
    await eventually(lambda: len(receiver.received) == 4)
    assert receiver.deliveries == [first, newer, older, plain]


@pytest.mark.slow
async def test_two_replicas_send_each_message_once(start: Start, receiver: Receiver) -> None:
    replicas = [await start(), await start()]
    orders = [page(receiver.url) for _ in range(100)]
    all_queued = asyncio.Event()
    receiver.behaves = answers_when(all_queued, OK)
    await asyncio.gather(*(replicas[number % 2].notify(order) for number, order in enumerate(orders)))
    all_queued.set()
    for order in orders:
        await replicas[0].ended(order["notification_id"])
    assert sorted(receiver.deliveries) == sorted(order["notification_id"] for order in orders)


async def test_an_attempt_that_outlived_its_lease_is_recorded_and_changes_nothing_else(
    start: Start, receiver: Receiver, arm: Arm, neighbours: Neighbours, db_dsn: str
) -> None:
    goes_on = arm(MARK, FailpointKind.SLEEP)
    paused = await start(sends_per_receiver=1)
    receiver.script.append(answers(410))
    order = page(receiver.url)
    await paused.notify(order)
    await eventually(lambda: receiver.received)
    await start()
    make_due(db_dsn, order["notification_id"])  # as when its lease has run out
    found = await paused.ended(order["notification_id"])
    assert found["status"] == "sent"
    goes_on.set()

    async def fenced() -> bool:
        return await paused.metric("tocsin_notifications_fenced_total") == 1

    await eventually(fenced)
    found = await paused.find(order["notification_id"])
    assert (found["status"], found["reason"]) == ("sent", None)
    # What the late one saw is kept as an attempt: it did happen.
    assert [(item["number"], item["code"]) for item in found["attempts"]] == [(1, 410), (2, 204)]
    await eventually(lambda: neighbours.timeline_types(order["incident_id"]))
    assert neighbours.timeline_types(order["incident_id"]) == ["delivered"]
    assert neighbours.failed == []


@pytest.mark.slow
async def test_a_process_paused_until_its_lease_ended_does_not_send(
    start: Start, receiver: Receiver, arm: Arm, capfd: pytest.CaptureFixture[str]
) -> None:
    goes_on = arm(SEND, FailpointKind.SLEEP)
    paused = await start(lease_seconds=0.5, sends_per_receiver=1)
    notification = await paused.notify(page(receiver.url))
    await eventually(lambda: "fault injected" in capfd.readouterr().out)
    await start()
    assert (await paused.ended(notification))["status"] == "sent"
    goes_on.set()
    await eventually(lambda: "not sent: the lease has expired" in capfd.readouterr().out)
    assert receiver.deliveries == [notification]


async def test_a_message_that_kills_every_process_that_sends_it_fails_in_the_end(
    start: Start, receiver: Receiver, db_dsn: str, neighbours: Neighbours
) -> None:
    service = await start(give_up_tries=4, poll_seconds=0.1)
    receiver.behaves = answers(503, Retry_After="60")
    order = page(receiver.url)
    await service.tried(await service.notify(order))
    # As after three more attempts whose process did not live to record them.
    run(
        db_dsn,
        """
        UPDATE notifications.notification SET attempts = 4, tries = 4, next_attempt_at = tocsin.now()
        WHERE id = %(id)s""",
        {"id": order["notification_id"]},
    )
    found = await service.ended(order["notification_id"])
    assert (found["status"], found["reason"]) == (
        "failed",
        "given up after 4 tries; the outcome of the last one is unknown",
    )
    assert len(receiver.received) == 1
    await eventually(lambda: neighbours.failed)


async def test_a_page_cancelled_during_an_attempt_is_sent_or_cancelled_by_its_outcome(
    service: Service, receiver: Receiver
) -> None:
    for behaviour, status in ((OK, "sent"), (answers(500), "voided")):
        release = asyncio.Event()
        receiver.behaves = answers_when(release, behaviour)
        order = page(receiver.url)
        notification = await service.notify(order)
        await eventually(lambda: receiver.running == 1)
        await service.post(
            "/api/v1/notifications/void", {"incident_id": order["incident_id"], "reason": "acknowledged"}
        )
        assert (await service.find(notification))["status"] == "voided"
        release.set()
        assert (await service.tried(notification))["status"] == status


async def test_a_message_that_triggers_a_bug_delays_no_other(service: Service, receiver: Receiver, arm: Arm) -> None:
    arm(SEND, FailpointKind.RAISE)
    found = [await service.notify(message(receiver.url)) for _ in range(2)]
    kept = [item["answer"] for one in found for item in (await service.ended(one))["attempts"]]
    assert sorted(kept) == ["", "", "internal error (FaultInjectedError)"]


async def test_a_message_is_not_sent_again_if_recording_its_attempt_fails_once(
    service: Service, receiver: Receiver, arm: Arm
) -> None:
    for kind in (FailpointKind.RAISE, FailpointKind.EXECUTE_THEN_RAISE):
        arm(MARK, kind)
        notification = await service.notify(page(receiver.url))
        assert (await service.ended(notification))["status"] == "sent"
        assert receiver.deliveries.count(notification) == 1
