import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.incidents.conftest import Query
from tests.support.incidents.api import Api
from tests.support.waiting import eventually
from tocsin.incidents.domain.histogram import MAX_RELATIVE_ERROR
from tocsin.incidents.queries import StatsQuery
from tocsin.incidents.service import analytics
from tocsin.incidents.service.analytics import get_summary
from tocsin.kernel.errors import InvalidRequestError

NOON = datetime(2026, 10, 22, 12, 0, tzinfo=UTC)
PATH = "/api/v1/incidents/stats/summary"
NOTHING = {"count": 0, "mean_seconds": None, "median_seconds": None, "p95_seconds": None}


SET_TIMES = """
    UPDATE incidents.incident
    SET created_at = %(created_at)s, acknowledged_at = %(acknowledged_at)s, resolved_at = %(resolved_at)s
    WHERE id = %(id)s
    """


class History:
    """Incidents with exact times."""

    def __init__(self, api: Api, query: Query) -> None:
        self.api = api
        self._query = query

    async def add(self, service: str, severity: str, when: datetime, **minutes: float) -> None:
        """Add an incident opened at *when* and changed to the states in *minutes*, that long after."""
        incident = await self.api.open(service=service, severity=severity)
        for status in minutes:
            await self.api.change(incident.id, status=status)
        after = {status: when + timedelta(minutes=number) for status, number in minutes.items()}
        times = {"acknowledged_at": min(after.values(), default=None), "resolved_at": after.get("resolved")}
        # In a thread: the service, which shares this event loop, may be holding the row's lock.
        await asyncio.to_thread(self._query, SET_TIMES, id=str(incident.id), created_at=when, **times)


@pytest.fixture
async def history(api: Api, query: Query) -> Api:
    added = History(api, query)
    await added.add("checkout", "critical", NOON - timedelta(days=1), acknowledged=1, resolved=10)
    await added.add("checkout", "high", NOON, acknowledged=2, resolved=20)
    await added.add("checkout", "high", NOON, acknowledged=6)
    await added.add("search", "low", NOON, resolved=30)
    await added.add("search", "low", NOON)
    await added.add("ancient", "low", NOON - timedelta(days=40), resolved=1)
    return api


async def test_a_summary_has_exact_counts_means_medians_and_percentiles(history: Api) -> None:
    answer = await history.get(PATH, since="2026-10-21T00:00:00Z", until="2026-10-23T00:00:00Z")
    assert answer.status == 200
    found = answer.body
    assert found["total"] == 5
    assert found["by_status"] == {"open": 1, "acknowledged": 1, "in_progress": 0, "resolved": 3}
    assert found["by_severity"] == {"critical": 1, "high": 2, "medium": 0, "low": 2}
    # Acknowledged after 1, 2, 6 and 30 minutes; resolved after 10, 20 and 30.
    assert found["mtta"] == {
        "count": 4,
        "mean_seconds": 585.0,
        "median_seconds": 240.0,
        "p95_seconds": pytest.approx(360 + 0.85 * (1800 - 360)),
    }
    assert found["mttr"] == {
        "count": 3,
        "mean_seconds": 1200.0,
        "median_seconds": 1200.0,
        "p95_seconds": pytest.approx(1200 + 0.9 * 600),
    }
    services = {item["service"]: item for item in found["by_service"]}
    assert list(services) == ["checkout", "search"]
    assert services["checkout"]["incidents"] == 3
    assert services["checkout"]["mtta"]["median_seconds"] == 120.0
    assert services["search"]["mttr"] == {
        "count": 1,
        "mean_seconds": 1800.0,
        "median_seconds": 1800.0,
        "p95_seconds": 1800.0,
    }
    assert [(day["starts_at"], day["incidents"]) for day in found["over_time"]] == [
        ("2026-10-21T00:00:00Z", 1),
        ("2026-10-22T00:00:00Z", 4),
    ]
    assert found["over_time"][0]["mttr"]["mean_seconds"] == 600.0


async def test_a_summary_of_many_incidents_is_read_from_the_roll_up_of_whole_days(
    history: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = (await history.get(PATH, since="2026-10-21T00:00:00Z", until="2026-10-23T00:00:00Z")).body
    monkeypatch.setattr(analytics, "EXACT_INCIDENTS", 4)

    async def rolled_up() -> Any:
        found = (await history.get(PATH, since="2026-10-21T11:00:00Z", until="2026-10-22T13:00:00Z")).body
        return found["as_of"] and found["by_status"] == exact["by_status"] and found

    found = await eventually(rolled_up)
    assert (found["since"], found["until"]) == (exact["since"], exact["until"])
    assert (found["total"], found["by_severity"]) == (exact["total"], exact["by_severity"])
    for name in ("mtta", "mttr"):
        assert found[name]["count"] == exact[name]["count"]
        assert found[name]["mean_seconds"] == pytest.approx(exact[name]["mean_seconds"])
        for quantile in ("median_seconds", "p95_seconds"):
            assert found[name][quantile] == pytest.approx(exact[name][quantile], rel=MAX_RELATIVE_ERROR)
    for there, here in zip(exact["by_service"], found["by_service"], strict=True):
        assert (there["service"], there["incidents"]) == (here["service"], here["incidents"])
    for there, here in zip(exact["over_time"], found["over_time"], strict=True):
        assert (there["starts_at"], there["incidents"]) == (here["starts_at"], here["incidents"])
        assert there["mtta"]["mean_seconds"] == pytest.approx(here["mtta"]["mean_seconds"])


async def test_a_summary_covers_the_last_thirty_days_by_default(history: Api) -> None:
    history.set_clock(NOON + timedelta(hours=3))
    found = await get_summary(history.deps, StatsQuery())
    assert timedelta(hours=3) <= found.until - NOON < timedelta(hours=3, minutes=1)
    assert found.since == found.until - timedelta(days=30)
    assert found.total == 5
    assert len(found.over_time) == 31
    earlier = await get_summary(history.deps, StatsQuery(until=NOON - timedelta(days=39)))
    assert earlier.total == 1
    assert earlier.by_service[0].service == "ancient"


async def test_a_summary_of_nothing_is_zeros(api: Api) -> None:
    found = (await api.get(PATH)).body
    assert found["total"] == 0
    assert set(found["by_status"].values()) == {0}
    assert found["mtta"] == found["mttr"] == NOTHING
    assert found["by_service"] == []
    assert {day["incidents"] for day in found["over_time"]} == {0}


@pytest.mark.slow
async def test_a_summary_names_the_fifty_services_with_most_incidents(api: Api, query: Query) -> None:
    added = History(api, query)
    for number in range(52):
        await added.add(f"service-{number:02}", "low", NOON)
    await added.add("service-51", "low", NOON)
    found = await get_summary(api.deps, StatsQuery(until=NOON + timedelta(hours=1)))
    assert len(found.by_service) == 50
    assert found.by_service[0].service == "service-51"
    assert found.total == 53


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"since": "2026-10-22T12:00:00Z", "until": "2026-10-22T12:00:00Z"}, "?since"),
    ({"since": "2025-10-20T12:00:00Z", "until": "2026-10-22T12:00:00Z"}, "?since"),
    ({"since": "0001-01-01T00:00:00Z"}, "?since"),
    ({"since": "9999-12-31T00:00:00Z"}, "?since"),
    ({"until": "0001-01-02T00:00:00Z"}, "?until"),
    ({"until": "later"}, "?until"),
    ({"service": "checkout"}, "?service"),
]


async def test_an_invalid_window_is_refused(api: Api) -> None:
    for query, pointer in REFUSED:
        answer = await api.get(PATH, **query)
        assert answer.status == 422, query
        assert answer.body["errors"][0]["pointer"] == pointer


async def test_the_longest_window_is_a_leap_year(api: Api) -> None:
    end = datetime(2029, 1, 1, tzinfo=UTC)
    found = await get_summary(api.deps, StatsQuery(since=end - timedelta(days=366), until=end))
    assert len(found.over_time) == 366
    with pytest.raises(InvalidRequestError):
        await get_summary(api.deps, StatsQuery(since=end - timedelta(days=366, microseconds=1), until=end))
