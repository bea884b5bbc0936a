"""Lists and summaries of messages."""

from typing import Any

from tests.fakes.receiver import Receiver, answers
from tests.support.notifications.api import Service, message, page
from tests.support.postgres import run
from tocsin.kernel.ids import new_id


async def test_messages_are_listed_newest_first_and_filtered(service: Service, receiver: Receiver) -> None:
    receiver.script.append(answers(410))
    failed = await service.notify(message(receiver.url))
    await service.ended(failed)
    sent = await service.notify(message(receiver.url))
    printed = message("console", channel="mock")
    console = await service.notify(printed)
    await service.ended(sent)
    await service.ended(console)

    async def ids(**query: str) -> list[str]:
        return [item["id"] for item in await service.listed(**query)]

    assert await ids() == [console, sent, failed]
    assert await ids(status="sent") == [console, sent]
    assert await ids(status="failed", channel="webhook") == [failed]
    assert await ids(channel="mock") == [console]
    assert await ids(incident_id=printed["incident_id"]) == [console]
    assert await ids(recipient=receiver.url) == [sent, failed]
    assert await ids(recipient="con'sole%") == []
    listed = {item["id"]: item for item in await service.listed()}
    assert listed[failed] == await service.find(failed)
    assert [attempt["code"] for attempt in listed[failed]["attempts"]] == [410]


async def test_a_board_has_the_newest_messages_and_the_newest_that_failed(service: Service, receiver: Receiver) -> None:
    receiver.script.append(answers(410))
    failed = await service.notify(message(receiver.url))
    await service.ended(failed)
    sent = await service.notify(message(receiver.url))
    await service.ended(sent)
    for limit in ("1", "2"):
        board = await (await service.client.get("/api/v1/notifications/board", params={"limit": limit})).json()
        newest = await (await service.client.get("/api/v1/notifications", params={"limit": limit})).json()
        assert board["newest"] == newest
        assert [item["id"] for item in board["failed"]["items"]] == [failed]
        assert [attempt["code"] for attempt in board["failed"]["items"][0]["attempts"]] == [410]


async def test_successive_pages_of_the_list_have_every_message(service: Service) -> None:
    wanted = [await service.notify(message("console", channel="mock")) for _ in range(5)]
    seen, query = [], {"limit": "2"}
    while True:
        answer = await (await service.client.get("/api/v1/notifications", params=query)).json()
        seen += [item["id"] for item in answer["items"]]
        if answer["next_cursor"] is None:
            break
        query = {"limit": "2", "cursor": answer["next_cursor"]}
    assert seen == wanted[::-1]


async def test_a_list_refuses_unknown_parameters_and_values(service: Service) -> None:
    wrong = ({"status": "lost"}, {"channel": "pigeon"}, {"incident_id": "2481"}, {"limit": "0"}, {"colour": "red"})
    for query in wrong:
        assert (await service.client.get("/api/v1/notifications", params=query)).status == 422, query


async def test_an_address_of_any_length_can_be_stored_and_found(service: Service) -> None:
    url = "http://10.255.255.1/" + "".join(str(new_id()) for _ in range(56))
    notification = await service.notify(message(url))
    assert [item["id"] for item in await service.listed(recipient=url)] == [notification]
    long_host = await service.notify(message("http://" + "ä" * 2_000 + "/"))
    assert (await service.ended(long_host))["status"] == "failed"


async def test_at_most_a_hundred_attempts_are_shown(service: Service, receiver: Receiver, db_dsn: str) -> None:
    notification = await service.notify(message(receiver.url))
    await service.ended(notification)
    run(
        db_dsn,
        """
        INSERT INTO notifications.attempt (notification_id, number, outcome, answer, started_at, seconds)
        SELECT %(id)s, number, 'retry', '', tocsin.now(), 0 FROM generate_series(2, 150) AS number""",
        {"id": notification},
    )
    shown = [attempt["number"] for attempt in (await service.find(notification))["attempts"]]
    assert shown == list(range(51, 151))


async def test_a_person_s_pages_are_found(service: Service) -> None:
    carol = page("carol", channel="mock")
    carol["page"] = {**carol["page"], "person": "Carol Mensah"}
    wanted = await service.notify(carol)
    await service.notify(page("priya", channel="mock"))
    await service.notify(message("Carol Mensah", channel="mock"))
    assert [item["id"] for item in await service.listed(person="Carol Mensah")] == [wanted]
    assert await service.listed(person="Carol") == []


async def test_a_summary_counts_messages_by_channel_and_status(service: Service, receiver: Receiver) -> None:
    async def summary(**query: str) -> Any:
        return await (await service.client.get("/api/v1/notifications/summary", params=query)).json()

    assert await summary() == {"by_channel": [], "median_seconds": None, "cut_at": None}
    receiver.script.append(answers(410))
    for order in (message(receiver.url), message(receiver.url), message("console", channel="mock")):
        await service.ended(await service.notify(order))
    found = await summary()
    nothing = {"sent": 0, "queued": 0, "retrying": 0, "failed": 0, "voided": 0}
    assert found["by_channel"] == [
        {**nothing, "channel": "mock", "sent": 1},
        {**nothing, "channel": "webhook", "sent": 1, "failed": 1},
    ]
    assert found["median_seconds"] >= 0
    assert (await summary(since="2999-01-01T00:00:00Z"))["by_channel"] == []
    assert (await service.client.get("/api/v1/notifications/summary", params={"until": "now"})).status == 422
