"""The demo data: the first start adds it, the second adds nothing, one command removes it."""

import signal
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.support.cli.processes import Up, tocsin, tocsin_up
from tests.support.postgres import run
from tests.support.waiting import eventually
from tocsin.cli.demo import store
from tocsin.cli.demo.dataset import DEMO_INCIDENTS, HISTORY, PEOPLE, TEAM_NAMES, TEAMS
from tocsin.cli.services import WEB

pytestmark = pytest.mark.slow
READY = "Ctrl-C stops everything."
CONCURRENT = timedelta(seconds=10)
STATES = {
    "demo-checkout": "open",
    "demo-search": "acknowledged",
    "demo-storage": "in_progress",
    "demo-billing": "resolved",
}
SUMS = {"incidents.status_change": "COALESCE(sum(change), 0)"}
SCHEMAS = ("alerts", "incidents", "oncall", "notifications")


def tables(dsn: str) -> Iterator[str]:
    """Yield every table of the services."""
    for row in run(dsn, "SELECT schemaname, tablename FROM pg_tables WHERE schemaname = ANY(%(s)s)", {"s": [*SCHEMAS]}):
        yield f"{row['schemaname']}.{row['tablename']}"


def rows(dsn: str) -> dict[str, int]:
    """Return the number of rows of each table that is not empty, and the sum of those whose sum alone counts."""
    counts = {
        name: run(dsn, f"SELECT {SUMS.get(name, 'count(*)')} AS rows FROM {name}")[0]["rows"] for name in tables(dsn)
    }
    return {name: count for name, count in counts.items() if count}


def demo_rows(dsn: str) -> dict[str, list[dict[str, Any]]]:
    """Return the rows that the demo made, without those that services go on changing."""
    return {
        "teams": run(dsn, "SELECT id, name FROM oncall.team ORDER BY id"),
        "alerts": run(dsn, "SELECT id, occurrences FROM alerts.alert ORDER BY id"),
        "incidents": run(dsn, "SELECT id, number, status, version, alert_count FROM incidents.incident ORDER BY id"),
        "notes": run(dsn, "SELECT id, text FROM incidents.note ORDER BY id"),
        "past": run(dsn, "SELECT id FROM incidents.timeline WHERE created_at < now() - interval '1 h' ORDER BY id"),
    }


async def get(up: Up, path: str, **query: str) -> Any:
    async with ClientSession() as session, session.get(up.endpoint.url(WEB) + path, params=query) as response:
        assert response.status == 200, await response.text()
        return await response.json()


def remains(dsn: str) -> list[str]:
    """Return the tables, besides the timeline, with a row that names a team or a person of the demo."""
    names = {"names": "|".join((*TEAM_NAMES, *PEOPLE))}
    found = [name for name in tables(dsn) if run(dsn, f"SELECT 1 FROM {name} AS t WHERE t::text ~ %(names)s", names)]
    return [name for name in found if name != "incidents.timeline"]


@pytest.mark.sample("whole starts", 1)
async def test_a_killed_start_is_continued_a_repeat_adds_nothing_and_removal_leaves_all_other_data(
    db_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", db_dsn)
    monkeypatch.setenv("ROLLUP_SECONDS", "0.2")
    untouched = rows(db_dsn)
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    async with tocsin_up("--demo") as up:
        await up.wait_for_output("POST /api/v1/alerts 201")
        up.signal(signal.SIGKILL)
        await up.wait_for_exit()
        assert READY not in up.output
    async with tocsin_up("--demo") as up:
        await up.wait_for_output(READY)
        await assert_complete(up)
        await assert_removable(up, db_dsn, untouched)
    seeded = demo_rows(db_dsn)
    async with tocsin_up("--demo") as up:
        await up.wait_for_output(READY)
        assert demo_rows(db_dsn) == seeded
        await assert_removable_beside_other_data(up, db_dsn)
    async with tocsin_up("--demo") as up:
        await up.wait_for_output(store.NOT_ADDED)
        assert rows(db_dsn)["incidents.incident"] == 1


async def assert_complete(up: Up) -> None:
    """Check the incidents, teams, times and pages."""
    incidents = (await get(up, "/api/v1/incidents"))["items"]
    assert {item["service"]: item["status"] for item in incidents[: len(DEMO_INCIDENTS)]} == STATES
    assert len(incidents) == len(DEMO_INCIDENTS) + len(HISTORY)
    assert all(item["title"].startswith("Demo: ") for item in incidents)
    schedules = (await get(up, "/api/v1/schedules"))["items"]
    assert {item["team"] for item in schedules} == {schedule.team for schedule in TEAMS}
    summary = await get(up, "/api/v1/incidents/stats/summary")
    assert summary["mttr"]["count"] == len(HISTORY) + 1
    assert summary["mttr"]["median_seconds"] > 15 * 60
    for demo, item in zip(reversed(DEMO_INCIDENTS), incidents, strict=False):
        found = await get(up, f"/api/v1/incidents/{item['number']}")
        assert found["mtta_seconds"] == (demo.acknowledged_after.total_seconds() or None)
        assert found["mttr_seconds"] == (demo.resolved_after.total_seconds() or None)
        times = [datetime.fromisoformat(entry["created_at"]) for entry in found["timeline"]]
        # Transactions that run at once are dated by their start, and so can be written in the other order.
        late = [later for later, earlier in pairwise(times) if later + CONCURRENT < earlier]
        assert not late, f"the timeline is not in the order of its events: {times}"
        assert datetime.fromisoformat(found["created_at"]) <= min(times)
    opened = next(item for item in incidents if item["status"] == "open")

    async def paged() -> Any:
        pages = (await get(up, "/api/v1/notifications", incident_id=opened["id"]))["items"]
        return [page for page in pages if page["status"] == "sent" and page["channel"] == "mock"]

    assert await eventually(paged)


async def becomes(dsn: str, wanted: dict[str, int]) -> None:
    """Wait for the services' periodic roll-ups."""
    await eventually(lambda: rows(dsn) == wanted)


async def assert_removable(up: Up, dsn: str, untouched: dict[str, int]) -> None:
    """Remove the demo, after which the database is as before, and add it again."""
    result = await tocsin("demo", "remove")
    assert result.status == 0, result.err
    assert f"{len(DEMO_INCIDENTS) + len(HISTORY)} incidents" in result.out
    await becomes(dsn, untouched)
    result = await tocsin("demo", "add", "--url", up.endpoint.url(WEB))
    assert (result.status, rows(dsn)["incidents.incident"]) == (0, len(DEMO_INCIDENTS) + len(HISTORY)), result.err


async def assert_removable_beside_other_data(up: Up, dsn: str) -> None:
    """Remove the demo after an alert of another service: its incident stays, with nothing of the demo in it."""
    await tocsin("alert", "send", "anything", "high", "Broken", "--url", up.endpoint.url(WEB))

    async def assigned() -> Any:
        (own,) = (await get(up, "/api/v1/incidents", service="anything"))["items"]
        return own["team"] == TEAMS[0].team

    assert await eventually(assigned), "the first alert of any service pages someone of the demo"
    paged = "SELECT 1 FROM notifications.notification WHERE page ->> 'person' = ANY(%(people)s)"
    await eventually(partial(run, dsn, paged, {"people": [*PEOPLE]}))
    await tocsin("demo", "remove")
    await eventually(lambda: not {"incidents.stale", "oncall.stale"} & rows(dsn).keys())
    assert remains(dsn) == []
    (own,) = (await get(up, "/api/v1/incidents"))["items"]
    assert (own["title"], own["status"], own["assigned_to"]) == ("Broken", "open", None)
    kept = rows(dsn)
    assert (kept["alerts.alert"], kept["incidents.incident"], kept["oncall.escalation"]) == (1, 1, 1)
    assert not {"oncall.schedule", "oncall.team"} & kept.keys()
    assert store.NOT_ADDED in (await tocsin("demo", "add", "--url", up.endpoint.url(WEB))).out
    await becomes(dsn, kept)


async def test_removal_without_a_schema_names_the_command_that_creates_one(
    empty_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_dsn)
    result = await tocsin("demo", "remove")
    assert result.status == 1
    assert "tocsin migrate" in result.err
