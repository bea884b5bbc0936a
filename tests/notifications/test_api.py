"""The API of notification-service."""

import asyncio
from typing import Any

import pytest

from tests.fakes.receiver import Receiver, answers
from tests.notifications.conftest import Start
from tests.support.notifications.api import Service, message, page
from tests.support.notifications.neighbours import Neighbours
from tests.support.release_skew import two_releases
from tocsin.contracts.notifications import Notify
from tocsin.kernel.ids import new_id


async def test_a_message_to_the_console_is_printed_logged_and_sent(
    service: Service, capfd: pytest.CaptureFixture[str]
) -> None:
    order = page("priya\x1b[2J\u2028x", channel="mock", message="Payments\x07 fail\n" + "y" * 1_000)
    found = await service.ended(await service.notify(order))
    assert found["status"] == "sent"
    printed = capfd.readouterr()
    (line,) = printed.err.splitlines()
    assert line.startswith("PAGE to Priya Raman <p…>: #2481 critical: Payments fail yyy")
    assert len(line) == 400
    assert order["notification_id"] in printed.out


UNDELIVERABLE: list[tuple[dict[str, Any], str]] = [
    ({"recipient": "priya@halyard.example\r\nBcc: everybody@example.com", "channel": "email"}, "#/recipient"),
    ({"recipient": "priya\nraman", "channel": "mock"}, "#/recipient"),
    ({"recipient": "nobody", "channel": "email"}, "#"),
    ({"recipient": "a@b\x01c", "channel": "email"}, "#"),
    ({"recipient": "", "channel": "mock"}, "#/recipient"),
    ({"recipient": "x" * 2_049, "channel": "mock"}, "#/recipient"),
    ({"recipient": "p…@halyard.example", "channel": "email"}, "#/recipient"),  # copied from a masked response
    ({"recipient": "https://receiver.example/…"}, "#/recipient"),
    ({"recipient": "ftp://receiver.example/"}, "#"),
    ({"recipient": "http:///page"}, "#"),
    ({"recipient": "http://[::1/page"}, "#"),
    ({"recipient": "http://receiver.example:65536/"}, "#"),
    ({"recipient": "http://receiver.example/a page"}, "#"),
    ({"recipient": "http://receiver.example/\x7f"}, "#"),
    ({"channel": "pigeon"}, "#/channel"),
    ({"message": ""}, "#/message"),
    ({"message": "x" * 16_385}, "#/message"),
    ({"incident_id": "2481"}, "#/incident_id"),
    ({"kind": "page"}, "#"),
    ({"page": {"step": 1}}, "#/page/level"),
]


async def test_nul_becomes_a_replacement_character_in_every_field(service: Service) -> None:
    given = page("http://receiver.example/", message="m\0")
    details = given["page"]
    texts = {name: f"{details[name]}\0" for name in ("level", "person", "reason")}
    brief = {name: f"{details['incident'][name]}\0" for name in ("title", "service")}
    given["page"] = {**details, **texts, "incident": {**details["incident"], **brief}}
    stored = await service.find(await service.notify(given))
    assert stored["message"] == "m\ufffd"


async def test_a_message_that_cannot_be_delivered_is_refused(service: Service) -> None:
    for change, pointer in UNDELIVERABLE:
        response = await service.post("/api/v1/notify", {**message("http://receiver.example/"), **change})
        problem = await response.json()
        assert response.status == 422, problem
        assert pointer in [error["pointer"] for error in problem["errors"]]
    assert await service.listed() == []


async def test_text_is_stored_unchanged(service: Service) -> None:
    text = "Grüße \N{PARTY POPPER} \\ % %s {x} \0 '--"
    found = await service.ended(await service.notify(message("console", channel="mock", message=text)))
    assert found["message"] == text.replace("\0", "\N{REPLACEMENT CHARACTER}")


async def test_a_repeat_of_an_id_or_a_key_sends_nothing(service: Service, receiver: Receiver) -> None:
    order = page(receiver.url)
    first = await service.post("/api/v1/notify", order, Idempotency_Key="k1")
    await service.ended(order["notification_id"])
    again = [
        await service.post("/api/v1/notify", order, Idempotency_Key="k1"),
        await service.post("/api/v1/notify", order),
        await service.post("/api/v1/notify", order, Idempotency_Key="k2"),
    ]
    answer = await first.json()
    assert [(response.status, await response.json()) for response in again] == [(202, answer)] * 3

    plain = message(receiver.url)
    ids = {
        (await (await service.post("/api/v1/notify", plain, Idempotency_Key="k3")).json())["notification_id"]
        for _ in range(3)
    }
    (notification,) = ids
    await service.ended(notification)
    assert receiver.deliveries == [order["notification_id"], notification]


async def test_a_hundred_simultaneous_repeats_send_one_message(service: Service, receiver: Receiver) -> None:
    order = page(receiver.url)
    responses = await asyncio.gather(
        *(service.post("/api/v1/notify", order, Idempotency_Key=f"k{number % 2}") for number in range(100))
    )
    assert {response.status for response in responses} == {202}
    await service.ended(order["notification_id"])
    assert receiver.deliveries == [order["notification_id"]]


async def test_another_message_under_the_same_id_or_key_is_refused(service: Service, receiver: Receiver) -> None:
    order = page(receiver.url)
    await service.post("/api/v1/notify", order, Idempotency_Key="k1")
    other = {**order, "message": "something else"}
    by_id = await service.post("/api/v1/notify", other)
    by_key = await service.post("/api/v1/notify", {**other, "notification_id": str(new_id())}, Idempotency_Key="k1")
    assert [(response.status, (await response.json())["errors"][0]["pointer"]) for response in (by_id, by_key)] == [
        (422, "#/notification_id"),
        (422, "Idempotency-Key"),
    ]
    await service.ended(order["notification_id"])
    assert receiver.deliveries == [order["notification_id"]]


async def test_an_unknown_message_is_not_found(service: Service) -> None:
    for given in (str(new_id()), "2481"):
        address = f"/api/v1/notifications/{given}"
        assert (await service.client.get(address)).status == 404
        assert (await service.post(f"{address}/redeliver")).status == 404


async def test_a_dead_letter_is_redelivered_under_its_delivery_id(service: Service, receiver: Receiver) -> None:
    receiver.behaves = answers(410)
    notification = await service.notify(page(receiver.url))
    await service.ended(notification)
    receiver.behaves = answers(200)
    response = await service.post(f"/api/v1/notifications/{notification}/redeliver")
    assert response.status == 202
    assert await response.json() == {"notification_id": notification, "status": "queued"}
    found = await service.ended(notification)
    assert found["status"] == "sent"
    assert found["reason"] is None
    assert [(item["number"], item["outcome"]) for item in found["attempts"]] == [(1, "failed"), (2, "sent")]
    assert receiver.deliveries == [notification] * 2


async def test_a_redelivered_message_has_all_its_attempts_again(start: Start, receiver: Receiver) -> None:
    service = await start(give_up_tries=2)
    receiver.behaves = answers(500)
    notification = await service.notify(message(receiver.url))
    await service.ended(notification)
    receiver.script.append(answers(500))
    receiver.behaves = answers(200)
    await service.post(f"/api/v1/notifications/{notification}/redeliver")
    found = await service.ended(notification)
    assert (found["status"], len(found["attempts"])) == ("sent", 4)


async def test_two_redeliveries_with_one_key_send_once(service: Service, receiver: Receiver) -> None:
    receiver.script.append(answers(410))
    notification = await service.notify(message(receiver.url))
    await service.ended(notification)
    for _ in range(2):
        response = await service.post(f"/api/v1/notifications/{notification}/redeliver", Idempotency_Key="again")
        assert response.status == 202
        await service.ended(notification)
    assert len(receiver.received) == 2


async def test_a_delivered_or_queued_message_cannot_be_redelivered(service: Service, receiver: Receiver) -> None:
    sent = await service.notify(message(receiver.url))
    await service.ended(sent)
    receiver.behaves = answers(503, Retry_After="60")
    waiting = await service.notify(message(receiver.url))
    await service.tried(waiting)
    for notification, reason in ((sent, "It was delivered at"), (waiting, "It is queued")):
        response = await service.post(f"/api/v1/notifications/{notification}/redeliver")
        assert response.status == 409
        assert (await response.json())["detail"].startswith(reason)


async def test_cancelling_stops_an_incidents_pages_and_nothing_else(service: Service, receiver: Receiver) -> None:
    receiver.behaves = answers(503, Retry_After="60")
    order = page(receiver.url)
    same = message(receiver.url, incident_id=order["incident_id"])
    other = page(receiver.url)
    for body in (order, same, other):
        await service.tried(await service.notify(body))
    void = {"incident_id": order["incident_id"], "reason": "acknowledged by Priya"}
    for _ in range(2):
        response = await service.post("/api/v1/notifications/void", void)
        assert (response.status, await response.json()) == (200, {"voided": 1})
    found = await service.find(order["notification_id"])
    assert (found["status"], found["reason"]) == ("voided", "acknowledged by Priya")
    assert found["next_attempt_at"] is None
    assert {item["status"] for item in await service.listed(channel="webhook")} == {"voided", "queued"}
    assert [item["id"] for item in await service.listed(status="voided")] == [order["notification_id"]]


async def test_a_page_that_arrives_after_its_cancellation_is_never_sent(
    service: Service, receiver: Receiver, neighbours: Neighbours
) -> None:
    neighbours.status = 503  # nobody can say how the incident stands
    order = page(receiver.url)
    await service.post("/api/v1/notifications/void", {"incident_id": order["incident_id"], "reason": "resolved"})
    first = await (await service.post("/api/v1/notify", order)).json()
    again = await (await service.post("/api/v1/notify", order)).json()
    assert first == again == {"notification_id": order["notification_id"], "status": "voided"}
    later = await service.notify(page(receiver.url))
    await service.ended(later)
    assert receiver.deliveries == [later]


async def test_a_page_that_was_decided_after_a_cancellation_is_sent(
    service: Service, receiver: Receiver, neighbours: Neighbours
) -> None:
    neighbours.status = 503
    incident_id = str(new_id())

    def paged_at(instant: str | None) -> dict[str, Any]:
        order = page(receiver.url, incident_id=incident_id)
        return {**order, "page": {**order["page"], "paged_at": instant}}

    async def cancel(until: str | None) -> None:
        void = {"incident_id": incident_id, "reason": f"until {until}", "paged_until": until}
        assert (await service.post("/api/v1/notifications/void", void)).status == 200

    async def status_of(order: dict[str, Any]) -> str:
        return str((await service.ended(await service.notify(order)))["status"])

    await cancel("2026-10-22T01:00:00.000005Z")
    assert await status_of(paged_at("2026-10-22T01:00:00.000005Z")) == "voided"
    assert await status_of(paged_at(None)) == "voided", "by an on-call service that does not date its pages"
    assert await status_of(paged_at("2026-10-22T01:00:00.000006Z")) == "sent"

    receiver.behaves = answers(503, Retry_After="60")
    waiting = await service.notify(paged_at("2026-10-22T01:00:00.000007Z"))
    await service.tried(waiting)
    await cancel("2026-10-22T00:00:00Z")
    assert (await service.find(waiting))["status"] == "queued", "a late retry of an earlier cancellation"
    await cancel("2026-10-22T02:00:00Z")
    assert (await service.find(waiting))["reason"] == "until 2026-10-22T02:00:00Z"
    assert await status_of(paged_at("2026-10-22T01:30:00Z")) == "voided"
    await cancel(None)
    await cancel("2026-10-22T02:00:00Z")
    assert await status_of(paged_at("2026-10-22T03:00:00Z")) == "voided", "a release before cancels all pages"


async def test_a_cancelled_page_can_be_redelivered(
    service: Service, receiver: Receiver, neighbours: Neighbours
) -> None:
    order = page(receiver.url)
    neighbours.states[order["incident_id"]] = "acknowledged"
    await service.ended(await service.notify(order))
    await service.post(f"/api/v1/notifications/{order['notification_id']}/redeliver")
    assert (await service.ended(order["notification_id"]))["status"] == "sent"
    assert receiver.deliveries == [order["notification_id"]]


async def test_the_service_describes_itself_and_its_health(service: Service) -> None:
    health = await (await service.client.get("/health")).json()
    assert (health["status"], health["service"]) == ("ok", "notification-service")
    assert (await service.client.get("/health/ready")).status == 200
    described = await (await service.client.get("/openapi.json")).json()
    assert set(described["paths"]) == {
        "/api/v1/notify",
        "/api/v1/notifications",
        "/api/v1/notifications/board",
        "/api/v1/notifications/summary",
        "/api/v1/notifications/{notification_id}",
        "/api/v1/notifications/{notification_id}/redeliver",
        "/api/v1/notifications/void",
    }
    assert described["components"]["schemas"]["ChannelName"]["enum"] == ["mock", "webhook", "email"]


@pytest.mark.parametrize("newer_first", [False, True])
async def test_a_retry_that_crosses_a_deploy_is_a_replay(
    service: Service, receiver: Receiver, *, newer_first: bool
) -> None:
    order = message(receiver.url)
    answers = []
    for release in two_releases(Notify, newer_first=newer_first):
        with release:
            response = await service.post("/api/v1/notify", order, Idempotency_Key="k")
        assert response.status == 202
        answers.append((await response.json())["notification_id"])
    await service.ended(answers[0])
    assert answers[0] == answers[1]
