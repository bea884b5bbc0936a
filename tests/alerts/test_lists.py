from typing import Any, Final

import pytest

from tests.fakes.incidents import FakeIncidents
from tests.support.alerts.api import ALERTMANAGER, ALERTS, Service, payload
from tocsin.alerts.repository import queries

ODD: Final[dict[str, Any]] = {
    "service": "billing",
    "severity": "critical",
    "message": "Replication lag exceeded on node db-7",
    "dedup_key": "lag",
}


async def test_alerts_are_listed_newest_first_page_by_page(service: Service) -> None:
    sent = [(await service.send(message=f"{number}"))["alert_id"] for number in range(5)]
    seen: list[str] = []
    cursor: dict[str, Any] = {}
    pages = 0
    while True:
        page = await service.get(ALERTS, limit=2, **cursor)
        seen += [item["id"] for item in page["items"]]
        pages += 1
        if page["next_cursor"] is None:
            break
        await service.send(message="meanwhile")
        cursor = {"cursor": page["next_cursor"]}
    assert seen == sent[::-1]
    assert pages == 3


async def test_an_incidents_alerts_are_listed_page_by_page(service: Service) -> None:
    sent = [await service.send(message=f"{number}") for number in range(5)]
    await service.send(**ODD)
    of_incident = {"incident_id": sent[0]["incident_id"], "limit": 3}
    first = await service.get(ALERTS, **of_incident)
    second = await service.get(ALERTS, **of_incident, cursor=first["next_cursor"])
    assert [item["id"] for item in first["items"] + second["items"]] == [answer["alert_id"] for answer in sent][::-1]
    assert second["next_cursor"] is None


@pytest.mark.parametrize(
    "filters",
    [
        {"service": "billing"},
        {"severity": "critical"},
        {"status": "resolved"},
        {"q": "replication"},
        {"q": "db-7 LAG"},
        {"q": '"lag exceeded"'},
        {"q": "lag -payments", "service": "billing", "severity": "critical", "status": "resolved"},
    ],
)
@pytest.mark.parametrize("by_incident", [False, True])
@pytest.mark.parametrize("searched", [1, 5_000])
async def test_every_filter_finds_matching_alerts_only(
    service: Service, filters: dict[str, str], monkeypatch: pytest.MonkeyPatch, *, by_incident: bool, searched: int
) -> None:
    monkeypatch.setattr(queries, "SEARCHED_NEWEST", searched)
    await service.send()
    odd = await service.send(**ODD)
    await service.send(**ODD, status="resolved")
    if by_incident:
        filters = {**filters, "incident_id": odd["incident_id"]}
    found = await service.found(**filters)
    assert [item["id"] for item in found] == [odd["alert_id"]]
    assert await service.found(**{**filters, "q": "nothing like it"}) == []


async def test_alerts_are_found_by_their_integration(service: Service) -> None:
    generic = await service.send()
    received = (await service.post(ALERTMANAGER, payload("alertmanager", "0.25-firing")))["alerts"]
    assert [item["id"] for item in await service.found(integration="generic")] == [generic["alert_id"]]
    found = await service.found(integration="alertmanager")
    assert {item["id"] for item in found} == {alert["alert_id"] for alert in received}
    assert {(item["integration"], item["receiver"]) for item in found} == {("alertmanager", "alertmanager")}
    assert await service.found(integration="nagios") == []


async def test_firing_alerts_and_those_of_a_fingerprint_are_found(service: Service) -> None:
    first = await service.send()
    odd = await service.send(**ODD)
    await service.send(**ODD, status="resolved")
    assert [item["id"] for item in await service.found(status="firing")] == [first["alert_id"]]
    fingerprint = (await service.alert(odd["alert_id"]))["fingerprint"]
    assert [item["id"] for item in await service.found(fingerprint=fingerprint)] == [odd["alert_id"]]


async def test_since_is_included_and_until_is_not(service: Service) -> None:
    ids = [(await service.send(message=f"{number}"))["alert_id"] for number in range(3)]
    at = [(await service.alert(alert_id))["created_at"] for alert_id in ids]
    assert [item["id"] for item in await service.found(since=at[1])] == [ids[2], ids[1]]
    assert [item["id"] for item in await service.found(until=at[1])] == [ids[0]]
    assert [item["id"] for item in await service.found(since=at[1], until=at[2])] == [ids[1]]


@pytest.mark.parametrize(
    "query",
    [
        {"colour": "red"},
        {"limit": "0"},
        {"limit": "201"},
        {"cursor": "abc"},
        {"severity": "urgent"},
        {"status": "open"},
        {"incident_id": "17"},
        {"fingerprint": "abc"},
        {"since": "yesterday"},
        {"q": ""},
    ],
)
async def test_an_invalid_query_parameter_is_refused_by_name(service: Service, query: dict[str, str]) -> None:
    refused = await service.get(ALERTS, expect=422, **query)
    assert refused["errors"][0]["pointer"] == "?" + next(iter(query))


@pytest.mark.parametrize("words", ["%", "'", "\\", "!&|()", "\0", "a" * 256, ":*", '"', "or", "-"])
async def test_any_text_can_be_searched_for(service: Service, words: str) -> None:
    await service.send()
    assert await service.found(q=words) == []
    assert await service.found(service=words) == []


async def test_alerts_are_found_by_their_action(service: Service) -> None:
    first, second = await service.send(), await service.send()
    ignored = await service.send(dedup_key="never fired", status="resolved")
    for action, answer in (
        ("new_incident", first),
        ("attached_to_existing_incident", second),
        ("ignored", ignored),
    ):
        assert [item["id"] for item in await service.found(action=action)] == [answer["alert_id"]]
        of_incident = await service.found(action=action, incident_id=first["incident_id"])
        assert [item["id"] for item in of_incident] == [answer["alert_id"]] * (answer is not ignored)
    assert await service.found(action="pending") == []
    assert (await service.get(ALERTS, action="lost", expect=422))["errors"][0]["pointer"] == "?action"


async def test_pending_alerts_are_found_while_incident_management_is_unavailable(
    service: Service, incidents: FakeIncidents
) -> None:
    await incidents.stop()
    waiting = await service.send(expect=202)
    assert [item["id"] for item in await service.found(action="pending")] == [waiting["alert_id"]]


async def test_a_summary_counts_alerts_incidents_and_reports(service: Service) -> None:
    nothing = {"alerts": 0, "incidents": 0, "reports": 0, "by_action": {}, "cut_at": None}
    assert await service.get(f"{ALERTS}/summary") == nothing
    for _ in range(3):
        await service.send()
    for _ in range(4):
        await service.send(**ODD)
    await service.send(dedup_key="never fired", status="resolved")
    assert await service.get(f"{ALERTS}/summary") == {
        "alerts": 5,
        "incidents": 2,
        "reports": 8,
        "by_action": {"new_incident": 2, "attached_to_existing_incident": 2, "ignored": 1},
        "cut_at": None,
    }
    assert await service.get(f"{ALERTS}/summary", until="2026-01-01T00:00:00Z") == nothing


async def test_a_summary_of_a_storm_counts_the_newest_alerts_and_since_when(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tocsin.alerts.repository.queries.SUMMARY_LIMIT", 2)
    sent = [await service.send() for _ in range(3)]
    summary = await service.get(f"{ALERTS}/summary")
    assert (summary["alerts"], summary["incidents"]) == (2, 1)
    assert summary["cut_at"] == (await service.alert(sent[1]["alert_id"]))["created_at"]
