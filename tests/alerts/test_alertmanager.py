from typing import Any

from tests.fakes.incidents import FakeIncidents
from tests.support.alerts.api import ALERTMANAGER, Service, payload


async def test_alertmanager_opens_repeats_and_resolves_alert_by_alert(
    service: Service, incidents: FakeIncidents
) -> None:
    group = payload("alertmanager", "0.25-firing")
    first = (await service.post(ALERTMANAGER, group))["alerts"]
    assert [received["action"] for received in first] == ["new_incident", "attached_to_existing_incident"]
    assert len({received["incident_id"] for received in first}) == 1
    again = (await service.post(ALERTMANAGER, group))["alerts"]
    assert again == [{**received, "action": "repeated"} for received in first]
    resolved = (await service.post(ALERTMANAGER, payload("alertmanager", "0.25-one-resolved")))["alerts"]
    assert [received["action"] for received in resolved] == ["resolved", "repeated"]
    assert [received["alert_id"] for received in resolved] == [received["alert_id"] for received in first]
    stored = await service.alert(first[0]["alert_id"])
    assert stored["dedup_key"] == "am:791cec13fcba0368"
    assert stored["receiver"] == "alertmanager"
    assert stored["status"] == "resolved"
    assert stored["links"][0]["text"] == "Runbook"
    assert stored["remark"] == "The service was taken from the label 'job'."
    assert incidents.received[0].remark == stored["remark"]


async def test_an_alert_without_a_usable_label_is_accepted(service: Service) -> None:
    received = await service.post(ALERTMANAGER, {"alerts": [{"labels": {"team": "core"}}]})
    stored = await service.alert(received["alerts"][0]["alert_id"])
    assert stored["service"] == "unknown"
    assert stored["severity"] == "high"


async def test_the_alerts_of_a_group_share_one_request_and_get_results_in_their_order(service: Service) -> None:
    group = {"alerts": [{"labels": {"service": f"s{number}", "severity": "info"}} for number in range(300)]}
    received = (await service.post(ALERTMANAGER, group))["alerts"]
    assert len(received) == 300
    rows = service.rows("SELECT id::text, request_id::text, service FROM alerts.alert ORDER BY id")
    assert [row["id"] for row in rows] == [alert["alert_id"] for alert in received]
    assert [row["service"] for row in rows] == [f"s{number}" for number in range(300)]
    assert len({row["request_id"] for row in rows}) == 1
    assert service.rows("SELECT count(*) FROM alerts.request") == [{"count": 1}]


async def test_reports_of_one_key_in_one_group_are_processed_in_order(service: Service) -> None:
    def report(status: str, number: int) -> dict[str, Any]:
        return {"status": status, "labels": {"service": "a", "n": str(number)}, "fingerprint": "f"}

    statuses = ["resolved", "firing", "firing", "resolved", "resolved", "firing", "firing"]
    group = {"alerts": [report(status, number) for number, status in enumerate(statuses)]}
    received = (await service.post(ALERTMANAGER, group))["alerts"]
    assert received[0]["action"] == "ignored"
    assert received[1]["alert_id"] == received[2]["alert_id"] == received[3]["alert_id"]
    assert received[4]["action"] == "ignored"
    assert received[5]["alert_id"] == received[6]["alert_id"] != received[1]["alert_id"]
    assert received[6]["action"] == "repeated"
    newest = await service.alert(received[5]["alert_id"])
    assert (newest["occurrences"], newest["labels"]["n"], newest["status"]) == (2, "6", "firing")
    before = await service.alert(received[1]["alert_id"])
    assert (before["occurrences"], before["labels"]["n"], before["status"]) == (2, "2", "resolved")


async def test_an_empty_group_is_accepted_and_not_stored(service: Service) -> None:
    assert await service.post(ALERTMANAGER, {"alerts": []}) == {"alerts": []}
    assert service.rows("SELECT count(*) FROM alerts.request") == [{"count": 0}]


async def test_a_group_is_accepted_while_incident_management_is_unavailable(
    service: Service, incidents: FakeIncidents
) -> None:
    await incidents.stop()
    received = (await service.post(ALERTMANAGER, payload("alertmanager", "0.25-firing")))["alerts"]
    assert [(alert["incident_id"], alert["action"]) for alert in received] == [(None, "pending")] * 2
