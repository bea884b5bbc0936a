"""The pager load equals what the pages and escalations add up to, in the time zone of each team."""

from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, Final
from zoneinfo import ZoneInfo

import psycopg2
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg2.extensions import connection

from tests.oncall.conftest import OnCall, Replica, delivered, person, start_of
from tests.support import rollups
from tests.support.oncall.strategies import INSTANTS, ZONES
from tests.support.postgres import run
from tests.support.waiting import eventually
from tocsin.kernel.ids import new_id
from tocsin.oncall.domain.pager_load import PagerLoadKind, difference, is_night, on_call_day
from tocsin.oncall.service.pager_load import roll_up
from tocsin.oncall.settings import Settings

BERLIN: Final = ZoneInfo("Europe/Berlin")
BEGIN: Final = datetime(2026, 10, 24, 17, 0, tzinfo=UTC)
TEAMS: Final = {"Payments": "Europe/Berlin", "Search": "Asia/Kolkata", "Platform": "America/New_York"}
LEVELS: Final = ("primary", "secondary", "everyone")


@given(INSTANTS, ZONES)
@example(datetime(2026, 10, 25, 0, 30, tzinfo=UTC), BERLIN)
@example(datetime(2026, 10, 25, 1, 30, tzinfo=UTC), BERLIN)
def test_a_night_belongs_to_the_day_on_which_it_began(at: datetime, zone: ZoneInfo) -> None:
    local = at.astimezone(zone)
    asleep = [*range(22, 24), *range(7)]
    assert is_night(local) == (local.hour in asleep)
    evening = local.date() if local.hour >= 7 else local.date() - timedelta(days=1)
    assert on_call_day(local) == evening


def test_a_night_on_which_the_clocks_go_back_is_one_night_of_ten_hours() -> None:
    begins = datetime(2026, 10, 24, 22, tzinfo=BERLIN).astimezone(UTC)
    hours = [(begins + timedelta(hours=number)).astimezone(BERLIN) for number in range(-1, 12)]
    assert [is_night(hour) for hour in hours] == [False, *[True] * 10, False, False]
    assert {on_call_day(hour) for hour in hours if is_night(hour)} == {date(2026, 10, 24)}


keys = st.tuples(st.sampled_from(PagerLoadKind), st.dates(), st.sampled_from(("a", "b")), st.just("c"), st.just(""))
parts = st.dictionaries(keys, st.tuples(st.integers(1, 9), st.integers(0, 9)), max_size=4)


@given(parts, parts)
def test_a_difference_turns_one_load_into_the_other(before: Any, after: Any) -> None:
    found = difference(before, after)
    for key in before.keys() | after.keys():
        then, now, more = (counted.get(key, (0, 0)) for counted in (before, after, found))
        assert (then[0] + more[0], then[1] + more[1]) == now
    assert difference(after, after) == {}


@dataclass(frozen=True, slots=True)
class Act:
    """A change to an escalation, or a round of the roll-up."""

    kind: str
    which: int
    after: timedelta
    team: str
    level: str
    person: str


acts = st.lists(
    st.builds(
        Act,
        kind=st.sampled_from(("start", "page", "page", "page", "cancel", "fail", "move", "stop", "delete", "roll up")),
        which=st.integers(0, 4),
        after=st.timedeltas(timedelta(), timedelta(days=9)),
        team=st.sampled_from([*TEAMS, "gone"]),
        level=st.sampled_from(LEVELS),
        person=st.sampled_from(("Ada", "Bob")),
    ),
    min_size=1,
    max_size=30,
)
STATEMENTS: Final = {
    "page": """
        INSERT INTO oncall.page (id, incident_id, team, step, level, person, channel, address, reason, created_at)
        SELECT gen_random_uuid(), incident_id, %(team)s, %(which)s, %(level)s, %(person)s, 'mock',
               gen_random_uuid()::text, 'a test', %(at)s
        FROM oncall.escalation WHERE incident_id = %(id)s""",
    "cancel": "UPDATE oncall.page SET cancelled_at = tocsin.now() WHERE incident_id = %(id)s AND step = %(which)s",
    "fail": "UPDATE oncall.page SET failed_at = tocsin.now() WHERE incident_id = %(id)s AND person = %(person)s",
    "move": "UPDATE oncall.escalation SET team = %(team)s WHERE incident_id = %(id)s",
    "stop": """
        UPDATE oncall.escalation SET stopped_at = tocsin.now(), next_action_at = NULL,
            stop_reason = (ARRAY['acknowledged', 'resolved', 'in_progress'])[1 + %(which)s %% 3]
        WHERE incident_id = %(id)s AND stopped_at IS NULL""",
    "delete": "DELETE FROM oncall.escalation WHERE incident_id = %(id)s",
}
START: Final = """
    INSERT INTO oncall.escalation (incident_id, incident, team, team_reason, timeout_seconds, next_action_at)
    VALUES (%(id)s, jsonb_build_object('service', 'of ' || %(person)s, 'created_at', %(at)s), %(team)s, 'a test', 300,
            tocsin.now())
    """


def play(conn: connection, dsn: str, history: list[Act]) -> None:
    """Execute *history*, each act in its own transaction."""
    ids: list[str] = []
    with conn.cursor() as cursor:
        for team, zone in TEAMS.items():
            cursor.execute(
                """
                WITH team AS (
                    INSERT INTO oncall.team (id, name) VALUES (gen_random_uuid(), %(team)s) ON CONFLICT DO NOTHING
                    RETURNING id)
                INSERT INTO oncall.schedule (id, team_id, rotation_type, members, time_zone, anchor)
                SELECT gen_random_uuid(), id, 'daily', '[]', %(zone)s, '2026-01-01' FROM team
                """,
                {"team": team, "zone": zone},
            )
        for act in history:
            values = {
                "which": act.which,
                "team": act.team,
                "level": act.level,
                "person": act.person,
                "at": BEGIN + act.after,
            }
            if act.kind == "roll up":
                rolled_up(dsn, limit=1 + act.which, rounds=1)
            elif act.kind == "start":
                ids.append(str(new_id()))
                cursor.execute(START, values | {"id": ids[-1]})
            elif ids:
                cursor.execute(STATEMENTS[act.kind], values | {"id": ids[act.which % len(ids)]})


rolled_up = partial(rollups.rolled_up, roll_up, Settings, schema="oncall")


def truth(dsn: str) -> dict[tuple[str, date, str, str, str], list[int]]:
    """Count every page and every escalation, in local time of the team."""
    found: Counter[tuple[str, date, str, str, str]] = Counter()
    dark: Counter[tuple[str, date, str, str, str]] = Counter()
    pages = run(dsn, "SELECT * FROM oncall.page WHERE cancelled_at IS NULL AND failed_at IS NULL ORDER BY created_at")
    for incident in run(dsn, "SELECT * FROM oncall.escalation WHERE incident IS NOT NULL"):
        seen, furthest, woken = set(), -1, False
        for page in pages:
            if page["incident_id"] != incident["incident_id"]:
                continue
            team = page["team"]
            interruption = (team, page["person"], page["level"], page["step"])
            if interruption in seen:
                continue
            seen.add(interruption)
            local = page["created_at"].astimezone(ZoneInfo(TEAMS.get(team, "UTC")))
            day = (local.replace(tzinfo=None) - timedelta(hours=7)).date()
            key = ("person", day, team, page["person"], "")
            night = not 7 <= local.hour < 22
            found[key] += 1
            dark[key] += night
            woken |= night
            furthest = max(furthest, LEVELS.index(page["level"]))
        opened = datetime.fromisoformat(incident["incident"]["created_at"]).astimezone(UTC).date()
        stop = incident["stop_reason"]
        outcome = "running" if stop is None else "resolved" if stop == "resolved" else "acknowledged"
        service, team = incident["incident"]["service"], incident["team"]
        for key in (
            ("service", opened, team, service, ""),
            ("service_week", opened - timedelta(days=opened.weekday()), team, service, ""),
            ("outcome", opened, team, LEVELS[furthest] if furthest >= 0 else "", outcome),
        ):
            found[key] += 1
            dark[key] += woken
    return {key: [number, dark[key]] for key, number in found.items()}


def kept(dsn: str) -> dict[tuple[str, date, str, str, str], list[int]]:
    rows = run(dsn, "SELECT * FROM oncall.pager_load")
    names = ("kind", "day", "team", "name", "detail")
    return {tuple(row[name] for name in names): [row["total"], row["at_night"]] for row in rows}


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts)
def test_the_pager_load_equals_the_sum_over_pages_and_escalations(db_dsn: str, history: list[Act]) -> None:
    with closing(psycopg2.connect(db_dsn)) as conn:
        conn.autocommit = True
        play(conn, db_dsn, history)
        rolled_up(db_dsn, limit=3)
        assert kept(db_dsn) == truth(db_dsn)
        assert run(db_dsn, "SELECT id FROM oncall.stale") == []
        conn.cursor().execute("DELETE FROM oncall.escalation")
    rolled_up(db_dsn)
    assert kept(db_dsn) == {}
    assert run(db_dsn, "SELECT * FROM oncall.pager_load_contribution") == []


@pytest.mark.slow
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts)
def test_the_backfill_counts_existing_escalations_newest_first(db_dsn: str, history: list[Act]) -> None:
    with closing(psycopg2.connect(db_dsn, options="-c session_replication_role=replica")) as conn:
        conn.autocommit = True
        play(conn, db_dsn, [act for act in history if act.kind not in {"roll up", "delete"}])
        conn.cursor().execute("UPDATE oncall.rollup SET history_from = 'ffffffff-ffff-ffff-ffff-ffffffffffff'")
        rolled_up(db_dsn, limit=2)
        assert kept(db_dsn) == truth(db_dsn)
        assert run(db_dsn, "SELECT history_from FROM oncall.rollup") == [{"history_from": None}]
        conn.cursor().execute(
            "TRUNCATE oncall.escalation, oncall.page, oncall.pager_load, oncall.pager_load_contribution"
        )


async def test_an_overview_counts_night_pages_in_local_time_of_the_team(replica: Replica) -> None:
    oncall = await replica(rollup_seconds=0.05)
    await oncall.team("Payments", person("Ada"), person("Bob", role="secondary"), time_zone="Europe/Berlin")
    await oncall.team("Search", person("Chandra"), time_zone="Asia/Kolkata", services=["index"])
    # In Berlin 02:30 for the second time, in Kolkata 07:00.
    at = datetime(2037, 10, 25, 1, 30, tzinfo=UTC)
    oncall.deps.db.set_clock_offset(at - datetime.now(UTC))
    at_night = start_of(str(new_id())) | {"created_at": at.isoformat()}
    await oncall.post("/api/v1/escalations", at_night)
    incident_id = at_night["incident_id"]
    await oncall.post("/api/v1/escalate", {"incident_id": incident_id, "team": "Search"}, status=201)
    await delivered(oncall, incident_id, (1, "Ada", "mock"), (2, "Chandra", "mock"))
    await oncall.stop(incident_id)
    late = at + timedelta(days=1, hours=12)
    oncall.deps.db.set_clock_offset(late - datetime.now(UTC))
    await oncall.post("/api/v1/escalations", start_of(str(new_id()), "index") | {"created_at": late.isoformat()})
    query: dict[str, Any] = {"since": "2037-10-24", "until": "2037-10-31"}

    async def counted() -> Any:
        body = await oncall.get("/api/v1/oncall/overview", **query)
        complete = body["total"]["answered"] and sum(person["pages"] for person in body["people"]) == 3
        return body if body["total"]["incidents"] == 2 and complete else None

    body = await eventually(counted)
    assert body["people"] == [
        {"person": "Ada", "team": "Payments", "pages": 1, "night_pages": 1, "nights": 1},
        {"person": "Chandra", "team": "Search", "pages": 2, "night_pages": 0, "nights": 0},
    ]
    assert body["total"] == {
        "incidents": 2,
        "answered": {"primary": 1},
        "resolved": {},
        "running": {"primary": 1},
        "nobody": 0,
        "nights": 1,
    }
    assert body["before"] == {**body["total"], "incidents": 0, "answered": {}, "running": {}, "nights": 0}
    assert {item["service"]: (item["incidents"], item["at_night"]) for item in body["services"]} == {
        "Payments": (1, 1),
        "index": (1, 0),
    }
    assert body["history_before"] is None
    weeks = await oncall.get("/api/v1/oncall/overview", since="2037-10-19", until="2037-11-02", team="Search")
    assert [item["person"] for item in weeks["people"]] == ["Chandra"]
    assert {item["service"]: item["incidents"] for item in weeks["services"]} == {"Payments": 1, "index": 1}


@pytest.mark.parametrize("kind", ["raise", "execute_then_raise"])
async def test_a_failed_round_of_the_roll_up_is_repeated(
    replica: Replica, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    oncall = await replica(rollup_seconds=0.05)
    await oncall.team("Payments", time_zone=TEAMS["Payments"])
    monkeypatch.setenv("FAILPOINT", f"oncall.roll_up:{kind}")
    await oncall.start()

    async def failed_and_counted() -> bool:
        failures = (await oncall.metrics())['tocsin_worker_ticks_total{outcome="error",worker="rollup"}']
        return failures == 1 and kept(oncall.dsn) == truth(oncall.dsn) != {}

    await eventually(failed_and_counted)


async def test_an_invalid_range_of_an_overview_is_rejected(oncall: OnCall) -> None:
    queries: list[dict[str, Any]] = [
        {"since": "2026-10-22", "until": "2026-10-22"},
        {"since": "2024-01-01", "until": "2026-01-01"},
        {"by": "day"},
    ]
    for query in queries:
        body = await oncall.get("/api/v1/oncall/overview", status=422, **query)
        assert body["errors"][0]["pointer"] in {"?since", "?by"}
