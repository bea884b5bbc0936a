import asyncio
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from statistics import fmean
from typing import Any, Final

import psycopg2
import pytest

from tests.incidents.conftest import Query, StartReplica
from tests.incidents.test_histogram import continuous
from tests.support.incidents.api import Api, alert
from tests.support.incidents.histories import ACKNOWLEDGE, INSERT, RESOLVE
from tests.support.postgres import run
from tests.support.waiting import eventually
from tocsin.contracts.overview import Grain
from tocsin.incidents.domain.histogram import MAX_RELATIVE_ERROR
from tocsin.incidents.queries import OverviewQuery
from tocsin.incidents.service.analytics import get_overview
from tocsin.kernel.ids import new_id

BEGIN: Final = datetime(2026, 10, 24, 21, 30, tzinfo=UTC)
SERVICES: Final = ("checkout", "search", "e-mail ✉")


async def test_a_change_is_in_the_overview_moments_later(start_replica: StartReplica, query: Query) -> None:
    api = await start_replica(rollup_seconds=0.05)
    incident = await api.open(severity="low", assigned_to="dele")
    await api.change(incident.id, severity="critical")
    await api.change(incident.id, status="in_progress")
    await api.change(incident.id, status="resolved")
    await api.correlate(alert(service="search", dedup_key="a"))
    await api.correlate(alert(service="search", dedup_key="a", status="resolved", version=2))

    async def added_up() -> bool:
        return await asyncio.to_thread(query, "SELECT id FROM incidents.stale") == []

    async def found() -> Any:
        body = (await api.get("/api/v1/incidents/stats/overview")).body
        complete = body["history_before"] is None and body["total"]["incidents"] == 2
        return body if complete and body["total"]["mttr"]["count"] and await added_up() else None

    body = await eventually(found)
    assert body["total"]["by_severity"] == {"critical": 1, "high": 1, "medium": 0, "low": 0}
    assert {item["service"] for item in body["services"]} == {"checkout", "search"}


async def test_an_overview_agrees_with_the_incidents_within_its_error_bounds(
    start_replica: StartReplica, db_dsn: str
) -> None:
    api = await start_replica(rollup_seconds=0.05)
    minutes = [1, 2, 3, 5, 8, 13, 21, 34, 55, 89]
    with closing(psycopg2.connect(db_dsn)) as conn, conn.cursor() as cursor:
        for number_, after in enumerate(minutes):
            for days in (0, 30):
                values = {"id": str(new_id()), "service": SERVICES[number_ % 3], "severity": "high", "team": "Payments"}
                at = BEGIN - timedelta(days=days)
                cursor.execute(INSERT, {**values, "at": at})
                cursor.execute(ACKNOWLEDGE, {**values, "after": timedelta(minutes=after + days)})
                cursor.execute(RESOLVE, {**values, "after": timedelta(minutes=10 * after + days)})
        conn.commit()
    await eventually(lambda: not run(db_dsn, "SELECT id FROM incidents.stale"))
    wanted = OverviewQuery(since=BEGIN - timedelta(days=20), until=BEGIN + timedelta(days=2))
    found = await get_overview(api.deps, wanted)
    assert (found.by, found.since, found.until) == (Grain.DAY, date(2026, 10, 4), date(2026, 10, 27))
    assert len(found.periods) == 23
    seconds = [60.0 * item for item in minutes]
    assert found.total.mtta.count == len(minutes)
    assert found.total.mtta.mean_seconds == pytest.approx(fmean(seconds))
    assert found.total.mtta.median_seconds == pytest.approx(continuous(seconds, 0.5), rel=MAX_RELATIVE_ERROR)
    assert found.total.mtta.p95_seconds == pytest.approx(continuous(seconds, 0.95), rel=MAX_RELATIVE_ERROR)
    assert found.total.mttr.median_seconds == pytest.approx(
        continuous([10 * item for item in seconds], 0.5), rel=MAX_RELATIVE_ERROR
    )
    assert found.before.mtta.mean_seconds == pytest.approx(fmean(seconds) + 1800)
    assert [item.incidents for item in found.answered_within] == [0, 1, 1, 1, 2, 2, 3]
    assert [item.service for item in found.services] == ["checkout", "e-mail ✉", "search"]
    assert found.services[0].team == "Payments"
    assert found.teams == ["Payments"]
    assert {period.starts_on: period.incidents for period in found.periods if period.incidents} == {BEGIN.date(): 10}

    by_week = await get_overview(api.deps, wanted.model_copy(update={"by": Grain.WEEK}))
    assert (by_week.since, by_week.until) == (date(2026, 9, 28), date(2026, 11, 2))
    assert [period.incidents for period in by_week.periods] == [0, 0, 0, 10, 0]
    assert [item.incidents for item in by_week.services] == [4, 3, 3]
    assert by_week.before.incidents == 10
    nobody = await get_overview(api.deps, wanted.model_copy(update={"team": "Nobody"}))
    assert (nobody.total.incidents, nobody.services, nobody.total.mtta.count) == (0, [], 0)


async def test_a_service_has_its_incidents_of_the_whole_weeks_and_of_the_days_around_them(
    start_replica: StartReplica, db_dsn: str
) -> None:
    api = await start_replica(rollup_seconds=0.05)
    sunday, day = datetime(2026, 10, 4, 12, tzinfo=UTC), timedelta(days=1)
    with closing(psycopg2.connect(db_dsn)) as conn, conn.cursor() as cursor:
        for number_ in range(-1, 24):  # Saturday 3 to Tuesday 27 October
            values = {"id": str(new_id()), "service": "checkout", "severity": "high", "team": "Payments"}
            cursor.execute(INSERT, {**values, "at": sunday + number_ * day})
        conn.commit()
    await eventually(lambda: not run(db_dsn, "SELECT id FROM incidents.stale"))
    found = await get_overview(api.deps, OverviewQuery(since=sunday, until=sunday + 22 * day))
    assert (found.since, found.until) == (date(2026, 10, 4), date(2026, 10, 27))
    assert [item.incidents for item in found.services] == [found.total.incidents] == [23]
    few = await get_overview(api.deps, OverviewQuery(since=sunday, until=sunday + day / 4))
    assert [item.incidents for item in few.services] == [few.total.incidents] == [1]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"since": "2026-10-22T12:00:00Z", "until": "2026-10-22T12:00:00Z"}, "?since"),
    ({"since": "2025-10-20T12:00:00Z", "until": "2026-10-22T12:00:00Z"}, "?since"),
    ({"until": "0001-01-02T00:00:00Z"}, "?until"),
    ({"since": "0001-01-01", "until": "0001-01-03"}, "?since"),
    ({"until": "9999-12-31T23:00:00Z", "since": "9999-12-30"}, "?since"),
    ({"by": "fortnight"}, "?by"),
    ({"team": ""}, "?team"),
    ({"service": "checkout"}, "?service"),
]


async def test_an_invalid_overview_query_is_refused(api: Api) -> None:
    for given_, pointer in REFUSED:
        answer = await api.get("/api/v1/incidents/stats/overview", **given_)
        assert answer.status == 422, given_
        assert answer.body["errors"][0]["pointer"] == pointer


async def test_an_overview_of_nothing_is_zeros(api: Api) -> None:
    body = (await api.get("/api/v1/incidents/stats/overview")).body
    assert body["by"] == "day"
    assert len(body["periods"]) in {30, 31}
    assert body["total"] == body["before"]
    assert body["total"]["mtta"] == {"count": 0, "mean_seconds": None, "median_seconds": None, "p95_seconds": None}
    assert {item["incidents"] for item in body["answered_within"]} == {0}


@pytest.mark.parametrize("name", ["overview", "summary"])
async def test_a_range_at_the_end_of_the_calendar_has_no_incidents(api: Api, name: str) -> None:
    answer = await api.get(f"/api/v1/incidents/stats/{name}", since="9999-12-28", until="9999-12-30")
    assert (answer.status, answer.body["total"] if name == "summary" else answer.body["total"]["incidents"]) == (200, 0)
