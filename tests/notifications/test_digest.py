"""Late pages: one message names all incidents that are still unacknowledged."""

import asyncio
from typing import Any

import pytest

from tests.fakes.mail import open_mail_server
from tests.fakes.receiver import Receiver, answers
from tests.notifications.conftest import Start
from tests.support import sampling
from tests.support.notifications.api import INCIDENT, Service, message, page
from tests.support.notifications.neighbours import Neighbours
from tests.support.postgres import run
from tests.support.waiting import AN_HOUR, eventually
from tocsin.kernel.line_writer import STANDARD_ERROR
from tocsin.notifications.domain.digest import MAX_PAGES
from tocsin.notifications.repository import notifications


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let those that come late wait until the test says that all are there."""
    monkeypatch.setattr(notifications, "GATHER_SECONDS", 3_600)


def late(recipient: str, number: int = 1, **fields: Any) -> dict[str, Any]:
    """Return a page that on-call decided on long ago."""
    order = page(recipient, **fields)
    incident = {**INCIDENT, "number": number, "title": f"Incident {number}"}
    return {**order, "page": {**order["page"], "incident": incident, "paged_at": "2026-01-01T00:00:00Z"}}


async def queued(service: Service, dsn: str, *orders: dict[str, Any]) -> list[str]:
    """Queue *orders*, then let them be due, the first one first; return their ids."""
    ids = [await service.notify(order) for order in orders]
    sql = """
        UPDATE notifications.notification SET next_attempt_at = tocsin.now()
        WHERE id = ANY(%(ids)s::uuid[]) AND tries = 0"""
    # Beside the loop: the service on it may hold the row of one that is sent at once.
    await asyncio.to_thread(run, dsn, sql, {"ids": ids})
    return ids


async def ended(service: Service, ids: list[str]) -> list[dict[str, Any]]:
    return [await service.ended(notification) for notification in ids]


@pytest.mark.slow
async def test_delayed_pages_reach_a_person_as_one_message(
    service: Service, receiver: Receiver, db_dsn: str, neighbours: Neighbours
) -> None:
    orders = [late(receiver.url, number) for number in range(1, 61)]
    neighbours.states[orders[1]["incident_id"]] = "resolved"
    ids = await queued(service, db_dsn, *orders)
    found = await ended(service, ids)
    assert [item["status"] for item in found] == ["sent", "voided"] + ["sent"] * 58
    [received] = receiver.received
    body = received.json
    newest_first = [order["incident_id"] for order in reversed(orders) if order is not orders[1]]
    assert [entry["incident_id"] for entry in body["digest"]] == newest_first
    assert [entry["notification_ids"] for entry in body["digest"]] == [[i] for i in reversed([ids[0], *ids[2:]])]
    assert body["message"].startswith("59 incidents are unacknowledged, the newest first.\n")
    assert "#60 critical in checkout: Incident 60" in body["message"]
    assert body["message"].endswith("\nand 9 more")
    assert (body["kind"], body["incident_id"], body["page"]["incident"]["number"]) == ("page", newest_first[0], 60)
    assert {item["digest_id"] for item in found if item["status"] == "sent"} == {received.delivery_id}
    assert {len(item["attempts"]) for item in found if item["status"] == "sent"} == {1}
    await eventually(lambda: len(neighbours.timeline) == 59)
    assert all("in a digest of late pages" in entry["detail"] for _, entry in neighbours.timeline)


async def test_by_e_mail_a_digest_names_them_in_its_text_and_counts_them_in_its_subject(
    start: Start, db_dsn: str
) -> None:
    async with open_mail_server() as mail:
        settings = {"smtp_url": f"smtp://127.0.0.1:{mail.port}", "smtp_from": "tocsin@halyard.example"}
        service = await start(**settings, public_url="https://tocsin.halyard.example")
        orders = [late("priya@halyard.example", number, channel="email") for number in (1, 2, 3)]
        found = await ended(service, await queued(service, db_dsn, *orders))
    [received] = mail.received
    sent = received.message
    assert sent["Subject"] == "3 incidents are unacknowledged"
    assert sent["Message-ID"] == f"<{found[0]['digest_id']}@halyard.example>"
    assert sent["In-Reply-To"] is None
    for kind in ("plain", "html"):
        body = sent.get_body((kind,))
        assert body is not None
        text = body.get_content()
        assert all(f"#{number} critical in checkout: Incident {number}" in text for number in (1, 2, 3))
        assert "Open the newest incident" in text
        assert f"https://tocsin.halyard.example/incidents/{orders[2]['incident_id']}" in text


async def test_on_the_console_a_digest_is_one_line(
    service: Service, db_dsn: str, capfd: pytest.CaptureFixture[str]
) -> None:
    await ended(service, await queued(service, db_dsn, *(late("Priya", number, channel="mock") for number in (1, 2))))
    STANDARD_ERROR.flush(AN_HOUR)
    [line] = [line for line in capfd.readouterr().err.splitlines() if line.startswith("PAGE to ")]
    assert "2 incidents are unacknowledged" in line
    assert "#2 critical in checkout: Incident 2 #1 critical" in line


async def test_several_pages_for_one_incident_are_that_page_once(
    service: Service, receiver: Receiver, db_dsn: str
) -> None:
    first = late(receiver.url)
    orders = [first, *(late(receiver.url, incident_id=first["incident_id"]) for _ in range(3))]
    await ended(service, await queued(service, db_dsn, *orders))
    [received] = receiver.received
    assert received.json["message"].startswith("Payments fail\n\nThis message replaces 4 pages ")
    assert len(received.json["digest"]) == 1


async def test_recent_pages_plain_messages_and_those_of_other_people_are_sent_separately(
    service: Service, receiver: Receiver, db_dsn: str
) -> None:
    other = receiver.url + "/other"
    orders = [late(receiver.url), late(receiver.url), late(other), page(receiver.url), message(receiver.url)]
    found = await ended(service, await queued(service, db_dsn, *orders))
    assert {item["status"] for item in found} == {"sent"}
    assert len(receiver.received) == 4
    assert sorted(len(request.json["digest"] or ()) for request in receiver.received) == [0, 0, 0, 2]
    alone = next(request for request in receiver.received if request.path.endswith("/other"))
    assert (alone.delivery_id, alone.json["message"]) == (found[2]["id"], "Payments fail")


async def test_a_failed_digest_is_retried_as_the_same_delivery(
    service: Service, receiver: Receiver, db_dsn: str
) -> None:
    receiver.script.append(answers(503))
    found = await ended(service, await queued(service, db_dsn, late(receiver.url, 1), late(receiver.url, 2)))
    assert [item["status"] for item in found] == ["sent", "sent"]
    first, second = receiver.received
    assert (first.delivery_id, first.body) == (second.delivery_id, second.body)


async def test_each_page_of_a_refused_digest_becomes_a_dead_letter_that_can_be_redelivered(
    service: Service, receiver: Receiver, db_dsn: str, neighbours: Neighbours
) -> None:
    receiver.script.append(answers(410))
    ids = await queued(service, db_dsn, late(receiver.url, 1), late(receiver.url, 2))
    assert [item["status"] for item in await ended(service, ids)] == ["failed", "failed"]
    await eventually(lambda: {report["notification_id"] for _, report in neighbours.failed} == set(ids))
    assert (await service.post(f"/api/v1/notifications/{ids[0]}/redeliver")).status == 202
    again = await service.ended(ids[0])
    assert (again["status"], again["digest_id"]) == ("sent", None)
    assert receiver.received[-1].delivery_id == ids[0]


@pytest.mark.slow
async def test_a_backlog_of_thousands_of_pages_becomes_few_messages(
    service: Service, receiver: Receiver, db_dsn: str
) -> None:
    copies = sampling.rows(3_000, 10_000)
    await ended(service, await queued(service, db_dsn, late(receiver.url)))
    columns = "incident_id, kind, channel, recipient, address, rate_limit_key, message, page, request_id"
    run(
        db_dsn,
        f"INSERT INTO notifications.notification (id, {columns}) SELECT gen_random_uuid(), gen_random_uuid(), "
        f"{columns.partition(', ')[2]} FROM notifications.notification, generate_series(1, {copies})",
    )
    left = "SELECT count(*) AS left FROM notifications.notification WHERE status = 'queued'"
    await eventually(lambda: run(db_dsn, left) == [{"left": 0}], timeout=180)
    assert len(receiver.received) <= 1 + copies // MAX_PAGES + 2
    assert sum(len(request.json["digest"] or "1") for request in receiver.received) == 1 + copies
