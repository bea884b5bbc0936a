"""notification-service and incident-management unavailable, available again, and rejecting."""

import pytest

from tests.oncall.conftest import OnCall, delivered, metric, person, start_of
from tests.support.waiting import eventually
from tocsin.kernel.ids import new_id

SENT = 'oncall_notifications_sent_total{channel="mock"}'


@pytest.mark.slow
async def test_pages_are_delivered_once_notification_service_is_available_again(oncall: OnCall) -> None:
    await oncall.team()
    await oncall.notifications.stop()
    started = [await oncall.start(number=number) for number in range(3)]
    await metric(oncall, "tocsin_outbox_undelivered_rows", 3)
    assert (await oncall.metrics())[SENT] == 0
    assert [item["assigned_to"] for item in started] == ["Ada"] * 3, "escalations start all the same"
    await oncall.notifications.start()
    for item in started:
        await delivered(oncall, item["incident_id"], (1, "Ada", "mock"))
    await metric(oncall, SENT, 3)


async def test_retries_of_a_page_have_one_notification_id_and_one_key(oncall: OnCall) -> None:
    await oncall.team()
    oncall.notifications.statuses.extend([503, 500, 429])
    started = await oncall.start()
    await delivered(oncall, started["incident_id"], (1, "Ada", "mock"))
    requests = oncall.notifications.requests
    assert len(requests) == 4
    page_id = started["pages"][0]["notification_id"]
    assert {(item.idempotency_key, item.body["notification_id"]) for item in requests} == {(page_id, page_id)}


async def test_the_request_id_is_passed_on_with_pages_and_timeline_entries(oncall: OnCall) -> None:
    await oncall.team()
    body = start_of(str(new_id()))
    await oncall.client.post("/api/v1/escalations", json=body, headers={"X-Request-ID": "night-1"})
    await eventually(lambda: oncall.notifications.requests and oncall.timeline.requests)
    assert {item.request_id for item in oncall.notifications.requests + oncall.timeline.requests} == {"night-1"}


async def test_timeline_entries_arrive_in_order_once_incident_management_is_available_again(oncall: OnCall) -> None:
    await oncall.team("Payments", person("Ada"), person("Bob", role="secondary"))
    await oncall.timeline.stop()
    incident_id = (await oncall.start())["incident_id"]
    for _ in range(2):
        await oncall.post("/api/v1/escalate", {"incident_id": incident_id}, status=201)
    await eventually(lambda: len(oncall.notifications.paged(incident_id)) == 4)
    await oncall.timeline.start()
    await eventually(lambda: len(oncall.timeline.texts(incident_id)) == 6)
    assert [kind for kind, _ in oncall.timeline.texts(incident_id)] == [
        "paged", "escalated", "paged", "escalated", "paged", "paged",
    ]  # fmt: skip


async def test_undeliverable_timeline_entries_do_not_delay_the_cancellation_of_pages(oncall: OnCall) -> None:
    await oncall.team()
    await oncall.timeline.stop()
    started = await oncall.start()
    await delivered(oncall, started["incident_id"], (1, "Ada", "mock"))
    await oncall.stop(started["incident_id"])
    await eventually(lambda: oncall.notifications.cancelled)


async def test_a_rejected_page_escalates_to_the_next_level(oncall: OnCall) -> None:
    await oncall.team("Payments", person("Ada"), person("Bob", role="secondary"))
    oncall.notifications.statuses.append(422)
    incident_id = (await oncall.start())["incident_id"]
    await delivered(oncall, incident_id, (2, "Bob", "mock"))
    escalation = await oncall.get(f"/api/v1/escalations/{incident_id}")
    assert (escalation["step"], escalation["pages"][0]["failure"]) == (2, "scripted to return 422")
    await metric(oncall, SENT, 1)
    assert oncall.rows("SELECT count(*) FROM oncall.outbox WHERE parked_at IS NOT NULL") == [{"count": 0}]


async def test_pages_are_counted_by_channel(oncall: OnCall) -> None:
    contacts = [
        {"channel": "email", "address": "a@example.net"},
        {"channel": "webhook", "address": "https://a.example"},
    ]
    await oncall.team("Payments", person("Ada", contacts=contacts), person("Bob", role="secondary"))
    incident_id = (await oncall.start())["incident_id"]
    await oncall.post("/api/v1/escalate", {"incident_id": incident_id}, status=201)
    for channel in ("email", "webhook", "mock"):
        await metric(oncall, f'oncall_notifications_sent_total{{channel="{channel}"}}', 1)
