import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.incidents.conftest import Query
from tests.support.incidents.api import Api
from tocsin.contracts.model import Severity

PATH = "/api/v1/incidents"
NOON = datetime(2026, 10, 22, 12, 0, tzinfo=UTC)
SEEN = [
    ({"title": "Checkout answers 5xx", "service": "checkout", "severity": "critical"}, {"status": "acknowledged"}),
    ({"title": "Search is slow", "service": "search", "severity": "high", "assigned_to": "Bob"}, {}),
    ({"title": "Disk full", "service": "db", "severity": "low", "description": "on db-7 since noon"}, {}),
    ({"title": "Disk almost full", "service": "db", "severity": "medium"}, {"status": "resolved"}),
]


@pytest.fixture
async def seen(api: Api, query: Query) -> Api:
    """Four incidents, numbered 1 to 4, opened a minute apart."""
    for position, (given, change) in enumerate(SEEN):
        api.set_clock(NOON + timedelta(minutes=position))
        incident = await api.open(**given)
        await api.change(incident.id, **change)
    await asyncio.to_thread(query, "UPDATE incidents.incident SET team = 'storage' WHERE service = 'db'")
    return api


FILTERS: list[tuple[dict[str, Any], list[int]]] = [
    ({}, [4, 3, 2, 1]),
    ({"status": "open"}, [3, 2]),
    ({"status": ["open", "acknowledged"]}, [3, 2, 1]),
    ({"severity": "HIGH"}, [2]),
    ({"severity": ["low", "medium"]}, [4, 3]),
    ({"service": "db"}, [4, 3]),
    ({"service": "db", "status": "resolved"}, [4]),
    ({"assigned_to": "Bob"}, [2]),
    ({"team": "storage"}, [4, 3]),
    ({"since": "2026-10-22T12:02:00Z"}, [4, 3]),
    ({"until": "2026-10-22T12:02:00Z"}, [2, 1]),
    ({"since": "2026-10-22T14:01:00+02:00", "until": "2026-10-22T12:03:00"}, [3, 2]),
    ({"resolved_since": "2026-10-22T12:03:00Z"}, [4]),
    ({"resolved_since": "2026-10-22T12:03:01Z"}, []),
    ({"since": "9999-12-31T23:59:59Z"}, []),
    ({"until": "0001-01-01T00:00:00Z"}, []),
    ({"q": "disk"}, [4, 3]),
    ({"q": '"disk full"'}, [3]),
    ({"q": "disk -almost"}, [3]),
    ({"q": "slow or 5xx"}, [2, 1]),
    ({"q": "search"}, [2]),
    ({"q": "noon"}, [3]),
    ({"q": "%"}, []),
    ({"q": "'; DROP TABLE incidents.incident; --"}, []),
    ({"q": "nothing"}, []),
]


async def test_a_list_shows_the_incidents_that_match_its_filters_newest_first(seen: Api) -> None:
    for filters, numbers in FILTERS:
        answer = await seen.get(PATH, **filters)
        assert answer.status == 200, answer.body
        assert [item["number"] for item in answer.body["items"]] == numbers, filters
        assert answer.body["next_cursor"] is None


async def test_successive_pages_show_every_incident_once_though_new_ones_open(seen: Api) -> None:
    first = (await seen.get(PATH, limit=2)).body
    await seen.open(service="late")
    second = (await seen.get(PATH, limit=2, cursor=first["next_cursor"])).body
    assert [item["number"] for item in first["items"] + second["items"]] == [4, 3, 2, 1]
    assert second["next_cursor"] is None


async def test_incidents_of_the_same_instant_are_paged_without_loss(api: Api, query: Query) -> None:
    opened = {str((await api.open()).id) for _ in range(5)}
    await asyncio.to_thread(query, "UPDATE incidents.incident SET created_at = %(noon)s", noon=NOON)
    found, cursor = [], None
    while True:
        page = (await api.get(PATH, limit=2, **({"cursor": cursor} if cursor else {}))).body
        found += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(found) == 5
    assert set(found) == opened


async def test_a_list_by_severity_shows_the_most_severe_first_then_the_newest(seen: Api) -> None:
    for filters, numbers in FILTERS:
        answer = await seen.get(PATH, sort="severity", **filters)
        assert answer.status == 200, answer.body
        listed = [item["number"] for item in answer.body["items"]]
        assert listed == [number for number in (1, 2, 4, 3) if number in numbers], filters
        assert answer.body["next_cursor"] is None
    newest = (await seen.get(PATH, sort="newest")).body
    assert newest == (await seen.get(PATH)).body


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_pages_by_severity_show_every_incident_though_others_open_and_one_changes(api: Api, limit: int) -> None:
    severities = ["low", "critical", "high", "high", "low", "critical", "medium", "high"]
    opened = [await api.open(severity=severity, service="old") for severity in severities]
    rank = {severity: number for number, severity in enumerate(Severity)}
    expected = [item.number for item in sorted(opened, key=lambda item: (rank[item.severity], -item.number))]
    found: list[int] = []
    page = (await api.get(PATH, sort="severity", limit=limit, service="old")).body
    found += [item["number"] for item in page["items"]]
    for severity in Severity:
        await api.open(severity=severity, service="new")
    await api.change(found[-1], severity="low" if limit == 1 else "critical")
    while page["next_cursor"]:
        page = (await api.get(PATH, sort="severity", limit=limit, service="old", cursor=page["next_cursor"])).body
        found += [item["number"] for item in page["items"] if item["number"] not in found]
    assert found == expected


async def test_a_cursor_of_another_order_is_refused(seen: Api) -> None:
    newest = (await seen.get(PATH, limit=1)).body["next_cursor"]
    severe = (await seen.get(PATH, limit=1, sort="severity")).body["next_cursor"]
    refused = [("severity", newest), ("newest", severe), ("severity", f"ouch.{newest}"), ("severity", "critical.")]
    for sort, cursor in refused:
        answer = await seen.get(PATH, limit=1, sort=sort, cursor=cursor)
        assert answer.status == 422, (sort, cursor)
        assert answer.body["errors"][0]["pointer"] == "?cursor"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"limit": 0}, "?limit"),
    ({"limit": 201}, "?limit"),
    ({"limit": "many"}, "?limit"),
    ({"cursor": "nonsense"}, "?cursor"),
    ({"sort": "oldest"}, "?sort"),
    ({"status": "closed"}, "?status.0"),
    ({"severity": "ouch"}, "?severity.0"),
    ({"since": "yesterday"}, "?since"),
    ({"q": ""}, "?q"),
    ({"page": 2}, "?page"),
    ({"service": ["a", "b"]}, "?service"),
]


async def test_an_invalid_query_is_refused_with_its_parameter_named(api: Api) -> None:
    for query, pointer in REFUSED:
        answer = await api.get(PATH, **query)
        assert answer.status == 422, query
        assert answer.body["errors"][0]["pointer"] == pointer


async def test_addresses_without_parameters_refuse_unknown_ones(api: Api) -> None:
    await api.open()
    for suffix in ("/1", "/1/metrics", "/stream"):
        assert (await api.get(PATH + suffix, verbose="yes")).status == 422, suffix


@pytest.mark.slow
async def test_a_long_timeline_is_paged_newest_first(api: Api) -> None:
    incident = await api.open()
    for number in range(205):
        report = {"event_key": f"k{number}", "event_type": "paged", "actor": "oncall-service", "detail": f"{number}"}
        await api.ask("POST", f"{PATH}/{incident.id}/timeline", report)
    shown = await api.show(incident.id)
    assert len(shown.timeline) == 200
    rest = (await api.get(f"{PATH}/{incident.id}/timeline", cursor=shown.timeline_cursor)).body
    details = [entry.detail for entry in shown.timeline] + [entry["detail"] for entry in rest["items"]]
    assert details[:205] == [str(number) for number in reversed(range(205))]
    assert len(details) == 207
    assert rest["next_cursor"] is None
    page = (await api.get(f"{PATH}/{incident.id}/timeline", limit=10)).body
    assert [entry["detail"] for entry in page["items"]] == [str(number) for number in range(204, 194, -1)]
    assert (await api.get(f"{PATH}/{incident.id}/timeline", cursor="x")).status == 422


async def test_states_are_returned_many_at_once_without_unknown_ids(seen: Api) -> None:
    items = (await seen.get(PATH)).body["items"]
    ids = {item["id"]: item["status"] for item in items}
    answered_at = {item["id"]: item["acknowledged_at"] for item in items if item["acknowledged_at"]}
    unknown = "00000000-0000-7000-8000-000000000000"
    answer = await seen.ask("POST", f"{PATH}/states", {"incident_ids": [*ids, unknown]})
    assert answer.status == 200
    assert answer.body == {"states": ids, "answered_at": answered_at}
    assert (await seen.ask("POST", f"{PATH}/states", {"incident_ids": [unknown] * 1001})).status == 422


async def test_incidents_are_listed_by_their_ids(seen: Api) -> None:
    everything = (await seen.get(PATH)).body["items"]
    wanted = [item["id"] for item in everything if item["number"] in {1, 3}]
    assert [item["number"] for item in (await seen.get(PATH, id=wanted)).body["items"]] == [3, 1]
    assert [item["number"] for item in (await seen.get(PATH, id=wanted, status="open")).body["items"]] == [3]
    assert (await seen.get(PATH, id="7")).status == 422


async def test_unresolved_incidents_are_counted_for_all_and_for_one_assignee(seen: Api) -> None:
    assert (await seen.get(f"{PATH}/counts")).body == {"open": 2, "acknowledged": 1, "in_progress": 0}
    assert (await seen.get(f"{PATH}/counts", assigned_to="Bob")).body == {
        "open": 1,
        "acknowledged": 0,
        "in_progress": 0,
    }
    assert (await seen.get(f"{PATH}/counts", assigned_to="Eve")).body == {
        "open": 0,
        "acknowledged": 0,
        "in_progress": 0,
    }
    assert (await seen.get(f"{PATH}/counts", team="db")).status == 422
