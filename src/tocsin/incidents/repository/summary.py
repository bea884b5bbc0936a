"""The summary of the incidents created in a window."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from tocsin.contracts.incidents import Durations, IncidentStatus, PeriodSummary, ServiceSummary, StatsSummary
from tocsin.contracts.model import Severity
from tocsin.kernel.db import Cursor, Row, fetch_all, fetch_one, required

NOTHING = {"incidents": 0, "acknowledged": 0, "resolved": 0, "mtta": None, "mttr": None}


async def count_in_progress(cur: Cursor, *, since: date, until: date) -> int:
    """Count the incidents in progress that were created on the UTC days [*since*, *until*)."""
    row = await fetch_one(
        cur,
        """
        SELECT count(*) AS incidents FROM incidents.incident
        WHERE status = 'in_progress' AND created_at >= %(since)s AND created_at < %(until)s
        """,
        since=since,
        until=until,
    )
    return int(required(row)["incidents"])


async def select_summary(cur: Cursor, *, since: datetime, until: datetime) -> StatsSummary:
    """Return counts and durations of the incidents created in [*since*, *until*), read in one pass."""
    rows = await fetch_all(
        cur,
        """
        SELECT kind, name, incidents, acknowledged, resolved, mtta_mean, mtta, mttr_mean, mttr
        FROM (
            SELECT CASE grouping(status, severity, service, day)
                       WHEN 15 THEN 'total' WHEN 7 THEN 'status' WHEN 11 THEN 'severity' WHEN 13 THEN 'service'
                       ELSE 'day' END AS kind,
                   COALESCE(status, severity, service, day) AS name,
                   count(*) AS incidents,
                   count(mtta) AS acknowledged,
                   count(mttr) AS resolved,
                   avg(mtta) AS mtta_mean,
                   percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY mtta) AS mtta,
                   avg(mttr) AS mttr_mean,
                   percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY mttr) AS mttr,
                   row_number() OVER (
                       PARTITION BY grouping(status, severity, service, day) ORDER BY count(*) DESC, service) AS rank
            FROM (
                SELECT status, severity, service, to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day,
                       EXTRACT(epoch FROM acknowledged_at - created_at)::float8 AS mtta,
                       EXTRACT(epoch FROM resolved_at - created_at)::float8 AS mttr
                FROM incidents.incident
                WHERE created_at >= %(since)s AND created_at < %(until)s) AS incident
            GROUP BY GROUPING SETS ((), (status), (severity), (service), (day))) AS figures
        WHERE kind <> 'service' OR rank <= 50
        ORDER BY kind, rank
        """,
        since=since,
        until=until,
    )
    by_kind: dict[str, dict[str | None, Row]] = {"status": {}, "severity": {}, "service": {}, "day": {}, "total": {}}
    for row in rows:
        by_kind[row["kind"]][row["name"]] = row
    total = by_kind["total"][None]
    return StatsSummary(
        since=since,
        until=until,
        total=total["incidents"],
        by_status={status: by_kind["status"].get(status, NOTHING)["incidents"] for status in IncidentStatus},
        by_severity={severity: by_kind["severity"].get(severity, NOTHING)["incidents"] for severity in Severity},
        mtta=_durations(total, "mtta", "acknowledged"),
        mttr=_durations(total, "mttr", "resolved"),
        by_service=[ServiceSummary(service=row["name"], **_part(row)) for row in by_kind["service"].values()],
        over_time=[
            PeriodSummary(
                starts_at=datetime.combine(day, time(), UTC), **_part(by_kind["day"].get(day.isoformat(), NOTHING))
            )
            for day in _days(since, until)
        ],
    )


def _part(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "incidents": row["incidents"],
        "mtta": _durations(row, "mtta", "acknowledged"),
        "mttr": _durations(row, "mttr", "resolved"),
    }


def _durations(row: Mapping[str, Any], name: str, counted: str) -> Durations:
    count = row[counted]
    if not count:
        return Durations(count=0, mean_seconds=None, median_seconds=None, p95_seconds=None)
    median, p95 = row[name]
    return Durations(count=count, mean_seconds=row[f"{name}_mean"], median_seconds=median, p95_seconds=p95)


def _days(since: datetime, until: datetime) -> list[date]:
    """Return every UTC day that overlaps the window."""
    first, last = since.date(), (until - timedelta(microseconds=1)).date()
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]
