"""What the tally keeps is what the pages and escalations say, by the clock of each team."""

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
from tocsin.contracts.oncall import Escalate, StartEscalation
from tocsin.kernel.ids import new_id
from tocsin.oncall.nights import Kind, change, duty_day, is_night
from tocsin.oncall.service.escalations import PAGER
from tocsin.oncall.service.overview import roll_up
from tocsin.oncall.settings import Settings

BERLIN: Final = ZoneInfo("Europe/Berlin")
BEGIN: Final = datetime(2026, 10, 24, 17, 0, tzinfo=UTC)
TEAMS: Final = {"Payments": "Europe/Berlin", "Search": "Asia/Kolkata", "Platform": "America/New_York"}
LEVELS: Final = ("primary", "secondary", "everyone")


@given(INSTANTS, ZONES)
@example(datetime(2026, 10, 25, 0, 30, tzinfo=UTC), BERLIN)
@example(datetime(2026, 10, 25, 1, 30, tzinfo=UTC), BERLIN)
def test_a_night_is_of_the_evening_on_which_it_began(at: datetime, zone: ZoneInfo) -> None:
    local = at.astimezone(zone)
    asleep = [*range(22, 24), *range(7)]
    assert is_night(local) == (local.hour in asleep)
    evening = local.date() if local.hour >= 7 else local.date() - timedelta(days=1)
    assert duty_day(local) == evening


def test_a_night_on_which_the_clocks_go_back_is_one_night_of_ten_hours() -> None:
    begins = datetime(2026, 10, 24, 22, tzinfo=BERLIN).astimezone(UTC)
    hours = [(begins + timedelta(hours=number)).astimezone(BERLIN) for number in range(-1, 12)]
    assert [is_night(hour) for hour in hours] == [False, *[True] * 10, False, False]
    assert {duty_day(hour) for hour in hours if is_night(hour)} == {date(2026, 10, 24)}


keys = st.tuples(st.sampled_from(Kind), st.dates(), st.sampled_from(("a", "b")), st.just("c"), st.just(""))
parts = st.dictionaries(keys, st.tuples(st.integers(1, 9), st.integers(0, 9)), max_size=4)


@given(parts, parts)
def test_a_change_leads_from_what_was_counted_to_what_is(before: Any, after: Any) -> None:
    found = change(before, after)
    for key in before.keys() | after.keys():
        then, now, more = (counted.get(key, (0, 0)) for counted in (before, after, found))
        assert (then[0] + more[0], then[1] + more[1]) == now
    assert change(after, after) == {}


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that happens to an incident's paging, or to the tally."""

    kind: str
    which: int
    after: timedelta
    team: str
    level: str
    person: str


acts = st.lists(
    st.builds(
        Act,
        kind=st.sampled_from(("start", "page", "page", "page", "void", "fail", "move", "stop", "delete", "roll up")),
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
        SELECT gen_random_uuid(), incident_id, NULLIF(%(team)s, 'gone'), %(which)s, %(level)s, %(person)s, 'mock',
               gen_random_uuid()::text, 'a test', %(at)s
        FROM oncall.escalation WHERE incident_id = %(id)s""",
    "void": "UPDATE oncall.page SET voided_at = now() WHERE incident_id = %(id)s AND step = %(which)s",
    "fail": "UPDATE oncall.page SET failed_at = now() WHERE incident_id = %(id)s AND person = %(person)s",
    "move": "UPDATE oncall.escalation SET team = %(team)s WHERE incident_id = %(id)s",
    "stop": """
        UPDATE oncall.escalation SET stopped_at = now(), next_action_at = NULL,
            stop_reason = (ARRAY['acknowledged', 'resolved', 'in_progress'])[1 + %(which)s %% 3]
        WHERE incident_id = %(id)s AND stopped_at IS NULL""",
    "delete": "DELETE FROM oncall.escalation WHERE incident_id = %(id)s",
}
START: Final = """
    INSERT INTO oncall.escalation (incident_id, incident, team, team_reason, timeout_seconds, next_action_at)
    VALUES (%(id)s, jsonb_build_object('service', 'of ' || %(person)s, 'created_at', %(at)s), %(team)s, 'a test', 300,
            now())
    """


def play(conn: connection, dsn: str, history: list[Act]) -> None:
    """Let *history* happen, each act in a transaction of its own."""
    ids: list[str] = []
    with conn.cursor() as cursor:
        for team, zone in TEAMS.items():
            cursor.execute(
                """
                INSERT INTO oncall.schedule (id, team, rotation_type, members, time_zone, anchor)
                VALUES (gen_random_uuid(), %(team)s, 'daily', '[]', %(zone)s, '2026-01-01') ON CONFLICT DO NOTHING
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
    """Count each page and each escalation, one by one, by the wall clock of the team's place."""
    found: Counter[tuple[str, date, str, str, str]] = Counter()
    dark: Counter[tuple[str, date, str, str, str]] = Counter()
    pages = run(dsn, "SELECT * FROM oncall.page WHERE voided_at IS NULL AND failed_at IS NULL ORDER BY created_at")
    for incident in run(dsn, "SELECT * FROM oncall.escalation WHERE incident IS NOT NULL"):
        seen, furthest, woken = set(), -1, False
        for page in pages:
            if page["incident_id"] != incident["incident_id"]:
                continue
            team = page["team"] or incident["team"]
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
        outcome = "running" if stop is None else "resolved" if stop == "resolved" else "answered"
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
    rows = run(dsn, "SELECT * FROM oncall.tally")
    names = ("kind", "day", "team", "name", "detail")
    return {tuple(row[name] for name in names): [row["number"], row["at_night"]] for row in rows}


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts)
def test_the_tally_is_what_pages_and_escalations_say(db_dsn: str, history: list[Act]) -> None:
    with closing(psycopg2.connect(db_dsn)) as conn:
        conn.autocommit = True
        play(conn, db_dsn, history)
        rolled_up(db_dsn, limit=3)
        assert kept(db_dsn) == truth(db_dsn)
        assert run(db_dsn, "SELECT id FROM oncall.stale") == []
        conn.cursor().execute("DELETE FROM oncall.escalation")
    rolled_up(db_dsn)
    assert kept(db_dsn) == {}
    assert run(db_dsn, "SELECT * FROM oncall.counted") == []


@pytest.mark.slow
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts)
def test_a_history_from_before_the_tally_is_counted_newest_first(db_dsn: str, history: list[Act]) -> None:
    with closing(psycopg2.connect(db_dsn, options="-c session_replication_role=replica")) as conn:
        conn.autocommit = True
        play(conn, db_dsn, [act for act in history if act.kind not in {"roll up", "delete"}])
        conn.cursor().execute("UPDATE oncall.rollup SET history_from = 'ffffffff-ffff-ffff-ffff-ffffffffffff'")
        rolled_up(db_dsn, limit=2)
        assert kept(db_dsn) == truth(db_dsn)
        assert run(db_dsn, "SELECT history_from FROM oncall.rollup") == [{"history_from": None}]
        conn.cursor().execute("TRUNCATE oncall.escalation, oncall.page, oncall.tally, oncall.counted")


async def test_an_overview_says_whom_pages_reached_at_night_by_the_team_s_clock(replica: Replica) -> None:
    oncall = await replica(rollup_seconds=0.05)
    await oncall.team("Payments", person("Ada"), person("Bob", role="secondary"), time_zone="Europe/Berlin")
    await oncall.team("Search", person("Chandra"), time_zone="Asia/Kolkata", services=["index"])
    pager = oncall.client.app[PAGER]
    # In Berlin 02:30 for the second time, in Kolkata 07:00; years ahead, so that no next step is due.
    at = datetime(2037, 10, 25, 1, 30, tzinfo=UTC)
    woken = StartEscalation.model_validate(start_of(str(new_id())) | {"created_at": at})
    await pager.start(woken, request=None, now=at)
    await pager.escalate(Escalate(incident_id=woken.incident_id, team="Search"), actor="Ada", request=None, now=at)
    await delivered(oncall, str(woken.incident_id), (1, "Ada", "mock"), (2, "Chandra", "mock"))
    await oncall.stop(str(woken.incident_id))
    late = at + timedelta(days=1, hours=12)
    await pager.start(
        StartEscalation.model_validate(start_of(str(new_id()), "index") | {"created_at": late}), request=None, now=late
    )
    asked: dict[str, Any] = {"since": "2037-10-24", "until": "2037-10-31"}

    async def counted() -> Any:
        body = await oncall.get("/api/v1/oncall/overview", **asked)
        return body if body["total"]["incidents"] == 2 and body["total"]["answered"] else None

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
async def test_a_round_that_fails_is_made_up_for(replica: Replica, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    oncall = await replica(rollup_seconds=0.05)
    await oncall.team("Payments", time_zone=TEAMS["Payments"])
    monkeypatch.setenv("FAILPOINT", f"oncall.roll_up:{kind}")
    await oncall.start()

    async def failed_and_counted() -> bool:
        failures = (await oncall.metrics())['tocsin_worker_ticks_total{outcome="error",worker="rollup"}']
        return failures == 1 and kept(oncall.dsn) == truth(oncall.dsn) != {}

    await eventually(failed_and_counted)


async def test_an_overview_of_what_makes_no_sense_is_refused(oncall: OnCall) -> None:
    queries: list[dict[str, Any]] = [
        {"since": "2026-10-22", "until": "2026-10-22"},
        {"since": "2024-01-01", "until": "2026-01-01"},
        {"by": "day"},
    ]
    for query in queries:
        body = await oncall.get("/api/v1/oncall/overview", status=422, **query)
        assert body["errors"][0]["pointer"] in {"?since", "?by"}
