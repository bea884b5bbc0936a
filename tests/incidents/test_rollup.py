"""The roll-up agrees with the incidents after any history, refreshed in any order."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, Final

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2.extensions import connection

from tests.support import rollups
from tests.support.incidents.histories import ACKNOWLEDGE, INSERT, RESOLVE, START
from tests.support.postgres import run
from tests.support.waiting import PATIENT
from tocsin.contracts.model import Severity
from tocsin.incidents.domain.histogram import EDGES
from tocsin.incidents.repository import rollup
from tocsin.incidents.service.rollup import roll_up
from tocsin.incidents.settings import Settings
from tocsin.kernel.db import Database
from tocsin.kernel.ids import new_id

# The clocks go back in Berlin on the 25th and forward on 29 March; a day here is one of UTC, of 24 hours always.
BEGIN: Final = datetime(2026, 10, 24, 21, 30, tzinfo=UTC)
SERVICES: Final = ("checkout", "search", "e-mail ✉")
TEAMS: Final = (None, "Payments", "Platform")


@dataclass(frozen=True, slots=True)
class Act:
    """A change of an incident, or a round of the roll-up."""

    kind: str
    which: int
    after: timedelta
    service: str
    severity: Severity
    team: str | None


STATEMENTS: Final = {
    "acknowledge": ACKNOWLEDGE,
    "start": START,
    "resolve": RESOLVE,
    "severity": "UPDATE incidents.incident SET severity = %(severity)s WHERE id = %(id)s",
    "team": "UPDATE incidents.incident SET team = %(team)s WHERE id = %(id)s",
    "delete": "DELETE FROM incidents.incident WHERE id = %(id)s",
}
acts = st.lists(
    st.builds(
        Act,
        kind=st.sampled_from(("open", "open", *STATEMENTS, "roll up")),
        which=st.integers(0, 5),
        after=st.timedeltas(timedelta(), timedelta(days=9)),
        service=st.sampled_from(SERVICES),
        severity=st.sampled_from(Severity),
        team=st.sampled_from(TEAMS),
    ),
    min_size=1,
    max_size=30,
)


def play(conn: connection, dsn: str, history: list[Act]) -> None:
    """Perform *history*, each act in a transaction of its own, with rounds of the roll-up in between."""
    ids: list[str] = []
    with conn.cursor() as cursor:
        for act in history:
            if act.kind == "roll up":
                rolled_up(dsn, limit=1 + act.which, rounds=1)
            elif act.kind == "open":
                ids.append(str(new_id()))
                cursor.execute(INSERT, {**_values(act), "id": ids[-1], "at": BEGIN + act.after})
            elif ids:
                cursor.execute(STATEMENTS[act.kind], {**_values(act), "id": ids[act.which % len(ids)]})


def _values(act: Act) -> dict[str, Any]:
    return {"service": act.service, "severity": act.severity.value, "team": act.team, "after": act.after}


rolled_up = partial(rollups.rolled_up, roll_up, Settings, schema="incidents")


Truth = dict[tuple[Any, ...], dict[str, Any]]


def truth(dsn: str) -> Iterator[tuple[date, str, str, str, dict[str, float | None]]]:
    """Yield day, service, team, severity of each incident with its times, worked out one by one from the rows."""
    began = {
        row["incident_id"]: row["created_at"]
        for row in run(
            dsn, "SELECT incident_id, created_at FROM incidents.timeline WHERE event_type = 'status_changed'"
        )
    }
    for row in run(dsn, "SELECT * FROM incidents.incident"):
        opened, acknowledged, resolved = row["created_at"], row["acknowledged_at"], row["resolved_at"]
        start = began.get(row["id"])
        start = max(start, acknowledged) if start else None
        start = min(start, resolved) if start and resolved else start
        end_of_waiting = start or resolved
        yield (
            opened.astimezone(UTC).date(),
            row["service"],
            row["team"] or "",
            row["severity"],
            {
                "mtta": (acknowledged - opened).total_seconds() if acknowledged else None,
                "mttr": (resolved - opened).total_seconds() if resolved else None,
                "acknowledged": (end_of_waiting - acknowledged).total_seconds() if end_of_waiting else None,
                "in_progress": (resolved - start).total_seconds() if start and resolved else None,
            },
        )


def expected(dsn: str, key: Any) -> Truth:
    groups: dict[tuple[Any, ...], list[dict[str, float | None]]] = defaultdict(list)
    for day, service, team, severity, times in truth(dsn):
        groups[key(day, service, team, severity)].append(times)
    return {group: summed(found) for group, found in groups.items()}


def summed(found: list[dict[str, float | None]]) -> dict[str, Any]:
    known = {name: [times[name] for times in found if times[name] is not None] for name in found[0]}
    return {
        "incidents": len(found),
        "acknowledged": len(known["mtta"]),
        "acknowledgement_seconds": pytest.approx(sum(filter(None, known["mtta"]))),
        "acknowledgement_histogram": number(known["mtta"]),
        "resolved": len(known["mttr"]),
        "resolution_seconds": pytest.approx(sum(filter(None, known["mttr"]))),
        "resolution_histogram": number(known["mttr"]),
        "acknowledged_seconds": pytest.approx(sum(filter(None, known["acknowledged"]))),
        "in_progress_seconds": pytest.approx(sum(filter(None, known["in_progress"]))),
    }


def number(seconds: list[float | None]) -> int:
    return sum(10 ** (8 * sum(edge <= item for edge in EDGES)) for item in seconds if item is not None)


def kept(dsn: str, table: str, *key: str) -> Truth:
    return {tuple(row.pop(name) for name in key): row for row in run(dsn, f"SELECT * FROM incidents.{table}")}


def assert_true(dsn: str) -> None:
    """Compare all four tables with the incidents."""
    assert kept(dsn, "service_day", "day", "service", "team", "severity") == expected(dsn, lambda *key: key)
    assert kept(dsn, "team_day", "day", "team", "severity") == expected(
        dsn, lambda day, _service, team, severity: (day, team, severity)
    )
    assert kept(dsn, "team_week", "week", "team", "severity") == expected(
        dsn, lambda day, _service, team, severity: (day - timedelta(days=day.weekday()), team, severity)
    )
    weeks = expected(dsn, lambda day, service, team, _: (day - timedelta(days=day.weekday()), service, team))
    for figures in weeks.values():
        del figures["acknowledged_seconds"], figures["in_progress_seconds"]
    assert kept(dsn, "service_week", "week", "service", "team") == weeks
    assert run(dsn, "SELECT * FROM incidents.stale") == []


@pytest.mark.slow
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts)
def test_the_rollup_agrees_with_the_incidents(db_dsn: str, history: list[Act]) -> None:
    with closing(psycopg2.connect(db_dsn)) as conn:
        conn.autocommit = True
        play(conn, db_dsn, history)
        rolled_up(db_dsn, limit=3)
        assert_true(db_dsn)
        conn.cursor().execute("DELETE FROM incidents.incident")
    rolled_up(db_dsn)
    assert kept(db_dsn, "team_day", "day", "team", "severity") == {}
    assert kept(db_dsn, "team_week", "week", "team", "severity") == {}


@pytest.mark.slow
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts)
def test_a_history_from_before_the_rollup_is_added_day_by_day(db_dsn: str, history: list[Act]) -> None:
    with closing(psycopg2.connect(db_dsn, options="-c session_replication_role=replica")) as conn:
        conn.autocommit = True
        play(conn, db_dsn, [act for act in history if act.kind != "roll up"])
        conn.cursor().execute("UPDATE incidents.rollup SET history_before = 'infinity'")
        rolled_up(db_dsn)
        assert_true(db_dsn)
        conn.cursor().execute("TRUNCATE incidents.incident CASCADE")
        every = ("service_day", "team_day", "service_week", "team_week")
        conn.cursor().execute(f"TRUNCATE {', '.join(f'incidents.{name}' for name in every)}")


def test_an_uncommitted_change_has_a_mark_of_its_own(db_dsn: str) -> None:
    with closing(psycopg2.connect(db_dsn)) as slow, slow.cursor() as cursor:
        history = [Act("open", 0, timedelta(), "checkout", Severity.HIGH, None)]
        with closing(psycopg2.connect(db_dsn)) as conn:
            conn.autocommit = True
            play(conn, db_dsn, history)
        cursor.execute("UPDATE incidents.incident SET severity = 'low'")
        rolled_up(db_dsn)
        assert [key[3] for key in kept(db_dsn, "service_day", "day", "service", "team", "severity")] == ["high"]
        slow.commit()
        rolled_up(db_dsn)
        assert_true(db_dsn)


def test_two_replicas_do_not_refresh_at_once(db_dsn: str) -> None:
    with closing(psycopg2.connect(db_dsn)) as other, other.cursor() as cursor:
        with closing(psycopg2.connect(db_dsn)) as conn:
            conn.autocommit = True
            play(conn, db_dsn, [Act("open", 0, timedelta(), "checkout", Severity.HIGH, None)])
        cursor.execute("SELECT FROM incidents.rollup FOR UPDATE")
        rolled_up(db_dsn)
        assert len(run(db_dsn, "SELECT id FROM incidents.stale")) == 1
        other.rollback()
        rolled_up(db_dsn)
        assert_true(db_dsn)


async def test_a_round_that_fails_leaves_its_marks_for_the_next(db_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        message = "the disk is full"
        raise RuntimeError(message)

    db = Database(Settings.model_validate({"database_url": db_dsn, **PATIENT}).database_config(), schema="incidents")
    with closing(psycopg2.connect(db_dsn)) as conn:
        conn.autocommit = True
        play(conn, db_dsn, [Act("open", 0, timedelta(), "checkout", Severity.HIGH, None)])
    with monkeypatch.context() as patched:
        patched.setattr(rollup, "refresh_weeks", fail)
        with pytest.raises(RuntimeError, match="the disk is full"):
            await roll_up(db, limit=10)
    while await roll_up(db, limit=10):
        pass
    await db.close()
    assert_true(db_dsn)
