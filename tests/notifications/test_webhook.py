"""Webhooks: what each response of a receiver means for the message."""

from datetime import datetime, timedelta
from email.utils import format_datetime

import pytest

from tests.fakes.receiver import (
    Behaviour,
    Receiver,
    answers,
    never_ends,
    never_responds,
    open_receiver,
    resets,
    talks_garbage,
    trickles,
)
from tests.notifications.conftest import Start
from tests.support.notifications.api import INCIDENT, Service, message, page
from tests.support.notifications.neighbours import Neighbours
from tests.support.waiting import eventually
from tocsin.kernel import clock


async def test_a_page_arrives_whole_under_its_delivery_id(service: Service, receiver: Receiver) -> None:
    order = page(receiver.url)
    response = await service.post("/api/v1/notify", order, X_Request_ID="req-1")
    assert response.status == 202
    assert await response.json() == {"notification_id": order["notification_id"], "status": "queued"}
    found = await service.ended(order["notification_id"])

    (request,) = receiver.received
    assert request.headers["idempotency-key"] == request.headers["x-tocsin-delivery"] == order["notification_id"]
    assert request.headers["x-tocsin-attempt"] == "1"
    assert request.headers["x-request-id"] == "req-1"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"].startswith("Tocsin/")
    assert request.json == {
        "version": 1,
        "kind": "page",
        "delivery_id": order["notification_id"],
        "incident_id": order["incident_id"],
        "message": "Payments fail",
        "page": {**order["page"], "incident": INCIDENT, "paged_at": None},
        "incident_url": None,
        "created_at": found["created_at"],
        "digest": None,
    }


async def test_a_message_links_to_its_incident_if_the_address_of_the_pages_is_configured(
    start: Start, receiver: Receiver
) -> None:
    service = await start(public_url="https://tocsin.halyard.example/")
    order = message(receiver.url)
    await service.ended(await service.notify(order))
    (request,) = receiver.received
    assert request.json["incident_url"] == f"https://tocsin.halyard.example/incidents/{order['incident_id']}"
    assert request.json["page"] is None


@pytest.mark.parametrize("status", [200, 201, 204, 299])
async def test_any_2xx_is_success(service: Service, receiver: Receiver, status: int) -> None:
    receiver.behaves = answers(status, b"thank you" if status != 204 else b"")
    found = await service.ended(await service.notify(message(receiver.url)))
    assert found["status"] == "sent"
    (attempt,) = found["attempts"]
    assert (attempt["outcome"], attempt["code"]) == ("sent", status)
    assert attempt["answer"] == ("thank you" if status != 204 else "")
    assert attempt["seconds"] > 0


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404, 408, 410, 422])
async def test_redirects_and_other_4xx_are_final(service: Service, receiver: Receiver, status: int) -> None:
    receiver.behaves = answers(status, b"no", Location=receiver.url)
    found = await service.ended(await service.notify(message(receiver.url)))
    assert found["status"] == "failed"
    assert found["reason"] == f"HTTP {status}: no"
    assert [(attempt["outcome"], attempt["code"]) for attempt in found["attempts"]] == [("failed", status)]
    assert len(receiver.received) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("behaviour", "code", "reason"),
    [
        (answers(500, b"oops"), 500, "HTTP 500: oops"),
        (answers(503), 503, "HTTP 503: "),
        (answers(429), 429, "HTTP 429: "),
        (resets, None, "no readable response"),
        (talks_garbage, None, "no readable response"),
        (never_responds, None, "no response in time"),
    ],
    ids=["500", "503", "429", "reset", "garbage", "slow"],
)
async def test_a_temporary_failure_is_retried_with_the_same_id_and_the_same_bytes(
    start: Start, receiver: Receiver, behaviour: Behaviour, code: int | None, reason: str
) -> None:
    service = await start(send_timeout_seconds=0.5 if behaviour is never_responds else 5)
    receiver.script.extend([behaviour, behaviour])
    order = page(receiver.url)
    found = await service.ended(await service.notify(order))
    assert found["status"] == "sent"
    assert [(attempt["number"], attempt["outcome"]) for attempt in found["attempts"]] == [
        (1, "retry"),
        (2, "retry"),
        (3, "sent"),
    ]
    assert found["attempts"][0]["code"] == code
    assert found["attempts"][0]["answer"].startswith(reason)
    assert receiver.deliveries == [order["notification_id"]] * 3
    assert len({request.body for request in receiver.received}) == 1
    assert [request.headers["x-tocsin-attempt"] for request in receiver.received] == ["1", "2", "3"]


async def test_an_unreachable_receiver_is_retried_until_the_limit(start: Start) -> None:
    service = await start(give_up_tries=3)
    async with open_receiver() as gone:
        url = gone.url
    order = page(url)
    found = await service.ended(await service.notify(order))
    assert found["status"] == "failed"
    assert found["reason"].startswith("given up after 3 tries; the last: cannot be reached: ")
    assert [attempt["outcome"] for attempt in found["attempts"]] == ["retry"] * 3


async def test_a_message_fails_when_its_time_limit_is_over(start: Start, receiver: Receiver) -> None:
    service = await start(give_up_tries=1_000, give_up_seconds=600)
    receiver.behaves = answers(500, Retry_After="60")
    notification = await service.notify(message(receiver.url))
    for tries, minutes in ((1, 2), (2, 4), (3, 9.9)):
        assert (await service.tried(notification, times=tries))["status"] == "queued"
        service.move_clock(timedelta(minutes=minutes))
    found = await service.ended(notification)
    assert (found["status"], len(found["attempts"])) == ("failed", 4)


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_retry_after_is_honoured(service: Service, receiver: Receiver, form: str) -> None:
    due = clock.now().replace(microsecond=0) + timedelta(seconds=60)
    receiver.script.append(answers(429, Retry_After="60" if form == "seconds" else format_datetime(due, usegmt=True)))
    notification = await service.notify(message(receiver.url))
    [attempt] = (found := await service.tried(notification))["attempts"]
    next_attempt = datetime.fromisoformat(found["next_attempt_at"])
    if form == "seconds":
        due = datetime.fromisoformat(attempt["started_at"]) + timedelta(seconds=60)
    assert next_attempt >= due
    service.move_clock(timedelta(seconds=75))
    assert (await service.ended(notification))["status"] == "sent"


async def test_a_message_fails_at_once_if_retry_after_exceeds_its_time_limit(start: Start, receiver: Receiver) -> None:
    service = await start(give_up_seconds=10)
    receiver.behaves = answers(503, Retry_After="3600")
    found = await service.ended(await service.notify(message(receiver.url)))
    assert found["status"] == "failed"
    assert len(receiver.received) == 1


async def test_a_body_of_a_gibibyte_is_not_read(service: Service, receiver: Receiver) -> None:
    counted: list[int] = []
    receiver.script.extend([never_ends(500, counted), never_ends(200, counted)])
    found = await service.ended(await service.notify(message(receiver.url)))
    assert [attempt["outcome"] for attempt in found["attempts"]] == ["retry", "sent"]
    assert all(len(attempt["answer"].encode()) <= 2_048 for attempt in found["attempts"])
    # What the sockets of both ends hold, not what was read.
    assert max(counted) < 16 * 1024**2


@pytest.mark.slow
async def test_a_2xx_with_a_slow_body_is_a_success(service: Service, receiver: Receiver) -> None:
    receiver.script.append(trickles)
    found = await service.ended(await service.notify(message(receiver.url)))
    assert found["status"] == "sent"
    assert found["attempts"][0]["answer"].endswith("(the response is incomplete)")
    assert len(receiver.received) == 1


async def test_a_response_that_is_not_text_is_stored_readably(service: Service, receiver: Receiver) -> None:
    receiver.behaves = answers(200, b"nul \x00 half \xe2\x82" + b"\xff" * 5_000)
    found = await service.ended(await service.notify(message(receiver.url)))
    (attempt,) = found["attempts"]
    assert attempt["answer"].startswith("nul \N{REPLACEMENT CHARACTER} half \N{REPLACEMENT CHARACTER}")
    assert len(attempt["answer"].encode()) <= 2_048


async def test_a_compressed_response_is_not_decompressed(service: Service, receiver: Receiver) -> None:
    receiver.behaves = answers(200, b"not gzip at all", Content_Encoding="gzip")
    found = await service.ended(await service.notify(message(receiver.url)))
    assert found["attempts"][0]["answer"] == "not gzip at all"
    assert receiver.received[0].headers["accept-encoding"] == "identity"


async def test_cookies_are_not_kept(service: Service, receiver: Receiver) -> None:
    receiver.behaves = answers(200, Set_Cookie="session=1; Path=/")
    for _ in range(2):
        await service.ended(await service.notify(message(receiver.url)))
    assert all("cookie" not in request.headers for request in receiver.received)


async def test_credentials_in_the_url_are_used_and_never_shown(
    service: Service, receiver: Receiver, capfd: pytest.CaptureFixture[str], neighbours: Neighbours
) -> None:
    url = receiver.url.replace("://", "://robot:c4nary@")
    shown = receiver.url.replace("://", "://***@").replace("/page", "/***")
    receiver.script.append(answers(500))
    order = page(url)
    found = await service.ended(await service.notify(order))
    assert receiver.received[0].headers["authorization"].startswith("Basic ")
    assert found["recipient"] == shown
    assert [item["id"] for item in await service.listed(recipient=url)] == [order["notification_id"]]
    assert [item["id"] for item in await service.listed(recipient=shown)] == [order["notification_id"]]
    await eventually(lambda: neighbours.timeline)
    printed = capfd.readouterr()
    assert "c4nary" not in f"{found}{printed.out}{printed.err}{neighbours.timeline}"
