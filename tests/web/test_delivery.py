import pytest

from tests.support.web import demo_data
from tests.support.web.browser_queries import BROWSER, FRAGMENTS, read, submit
from tests.support.web.demo_night import Services
from tests.support.web.html import Html
from tests.web.conftest import Client
from tocsin.contracts.notifications import Attempt, AttemptOutcome, Notification, NotificationKind, NotificationStatus
from tocsin.kernel.ids import new_id

LIST = "/notifications"
OWN = {"Sec-Fetch-Site": "same-origin"}


def listed(page: Html) -> list[str]:
    return [row["id"].removeprefix("n-") for row in page.elements("tr") if row.get("id", "").startswith("n-")]


def refused_webhook(services: Services) -> Notification:
    """Let a webhook of Dele's have been refused for good."""
    attempt = Attempt(
        number=1,
        outcome=AttemptOutcome.FAILED,
        code=404,
        answer="Not Found",
        started_at=demo_data.ago(minutes=4),
        seconds=0.3,
    )
    first = services.messages.messages[0]
    failed = first.model_copy(
        update={
            "id": new_id(),
            "incident_id": services.incidents.incidents[2480].id,
            "channel": "webhook",
            "recipient": "https://hooks.halyard.example/dele",
            "person": "Dele Adeyemi",
            "status": NotificationStatus.FAILED,
            "reason": "404 Not Found is final",
            "attempts": [attempt],
            "created_at": demo_data.ago(minutes=4),
            "finished_at": demo_data.ago(minutes=4),
        }
    )
    services.messages.messages.append(failed)
    return failed


async def test_each_message_shows_its_delivery_and_the_provider_s_response(client: Client, services: Services) -> None:
    services.fill()
    failed = refused_webhook(services)
    page = await read(client, LIST)
    assert "1 message could not be delivered 3 of 5 delivered in the last 24 hours" in page.text("head")
    assert "E-mailall delivered 3 sent, 24 h" in page.text("channels").replace(" all", "all")
    assert "Webhook1 failed 0 sent, 24 h" in page.text("channels").replace(" 1 failed", "1 failed")
    sent, retrying, *_ = services.messages.messages
    assert "Delivered in 0.8 s to priya@halyard.example" in page.text(f"n-{sent.id}")
    words = page.text(f"n-{retrying.id}")
    assert "Retrying 2 attempts: 503 Service Unavailable, next in 2" in words
    assert "503 Service Unavailable, after 0.1 s" in words
    words = page.text(f"n-{failed.id}")
    assert "Dele Adeyemi Webhook #2480 Carrier sync queue is 38 minutes behind Failed 404 Not Found is final" in words
    assert words.count("404 Not Found") == 1
    assert "Send again to Dele Adeyemi" in words


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("status=failed", [4]),
        ("channel=email", [0, 2, 3]),
        ("channel=webhook&status=queued", [1]),
        ("q=Dele+Adeyemi", [3, 4]),
        ("q=%232481", [0, 1]),
        ("q=2480&channel=&status=", [2, 3, 4]),
        ("q=99", []),
        ("q=Nobody", []),
    ],
)
async def test_the_address_filters_the_messages(
    client: Client, services: Services, query: str, expected: list[int]
) -> None:
    services.fill()
    refused_webhook(services)
    page = await read(client, f"{LIST}?{query}")
    assert sorted(listed(page)) == sorted(str(services.messages.messages[index].id) for index in expected)


async def test_a_failed_message_is_sent_again(client: Client, services: Services) -> None:
    services.fill()
    failed = refused_webhook(services)
    page = await read(client, f"{LIST}?channel=webhook")
    page = await submit(client, page, f"{LIST}/{failed.id}/redeliver")
    assert "Retrying" in page.text(f"n-{failed.id}")
    assert len(listed(page)) == 2
    assert services.messages.messages[-1].status is NotificationStatus.QUEUED


async def test_a_failed_message_shows_its_last_error_and_each_attempt_on_demand(
    client: Client, services: Services
) -> None:
    services.fill()
    failed = refused_webhook(services)
    attempts = [failed.attempts[0].model_copy(update={"number": number, "code": 503}) for number in (1, 2)]
    given_up = {"attempts": attempts, "reason": "given up after 2 tries; the last: 503 Not Found"}
    services.messages.messages = [failed.model_copy(update=given_up)]
    page = await read(client, LIST)
    assert "Failed given up after 2 tries; the last: 503 Not Found Each attempt" in page.text(f"n-{failed.id}")
    assert [given for given in page.elements("details") if given.get("id") == f"t-{failed.id}"] == [
        {"class": "data", "id": f"t-{failed.id}"}
    ]


async def test_a_message_delivered_meanwhile_is_not_sent_again(client: Client, services: Services) -> None:
    services.fill()
    failed = refused_webhook(services)
    page = await read(client, LIST)
    services.messages.messages[-1] = failed.model_copy(update={"status": NotificationStatus.SENT})
    page = await submit(client, page, f"{LIST}/{failed.id}/redeliver", status=409)
    assert "Not sent again It was delivered at" in page.text("notices")
    assert len(listed(page)) == 5
    async with client.post(f"{LIST}/{new_id()}/redeliver", data={}, headers=BROWSER | OWN) as response:
        assert response.status == 404


@pytest.mark.parametrize(
    ("statuses", "heading"),
    [
        ([], "No message was sent In the last 24 hours."),
        (["sent"], "Every message was delivered 1 of 1 delivered in the last 24 hours."),
        (
            ["sent", "sent"],
            "Every message was delivered 2 of 2 delivered in the last 24 hours; half of them",
        ),
        (["queued"], "1 message is in the queue, and none failed 0 of 1 delivered"),
        (["failed", "failed"], "2 messages could not be delivered 0 of 2 delivered"),
        (["voided"], "Every message was cancelled 1 message was cancelled in the last 24 hours, because the incident"),
        (["sent", "voided"], "1 other was cancelled, because the incident was acknowledged or resolved first."),
    ],
)
async def test_no_message_one_and_two_have_correct_grammar(
    client: Client, services: Services, statuses: list[str], heading: str
) -> None:
    services.fill()
    sent = services.messages.messages[0]
    services.messages.messages = [
        sent.model_copy(update={"id": new_id(), "status": NotificationStatus(status), "attempts": []})
        for status in statuses
    ]
    page = await read(client, LIST)
    assert heading in page.text("head")


async def test_a_message_to_an_address_is_shown_with_it(client: Client, services: Services) -> None:
    services.fill()
    payload = "<script>alert(1)</script>" + 200 * "x"
    changed = {"person": None, "recipient": payload, "kind": NotificationKind.MESSAGE, "reason": payload}
    services.messages.messages = [services.messages.messages[0].model_copy(update=changed)]
    page = await read(client, LIST)
    assert "<script>alert(1)</script>xxx" in page.text("results")


async def test_an_outage_is_shown_above_the_messages(client: Client, services: Services) -> None:
    services.fill()
    await services.incidents.stop()
    page = await read(client, LIST)
    assert "Its incident" in page.text("results")
    assert "Incident management has been unavailable since" in page.text("notices")
    await services.messages.stop()
    page = await read(client, LIST)
    assert "Messages cannot be shown right now" in page.text("head")
    assert "Messages cannot be shown until the notification service is back." in page.text("results")


async def test_htmx_gets_the_blocks_of_the_same_messages(client: Client, services: Services) -> None:
    services.fill()
    part = await read(client, f"{LIST}?status=sent", headers=FRAGMENTS)
    assert not part.elements("html")
    assert len(listed(part)) == 3
