"""How well it goes: figures over days and weeks, and the roll-up that they are read from."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from tocsin.contracts.incidents import Durations
from tocsin.contracts.model import Instant, Line, Severity
from tocsin.contracts.overview import Bin, Figures, Grain, NoisyService, Period, StatsOverview
from tocsin.incidents.domain.histogram import Histogram
from tocsin.incidents.domain.time_range import span_of
from tocsin.incidents.repository import locking, overview, rollup
from tocsin.kernel.db import Database, transaction
from tocsin.kernel.failpoints import Failpoint

ANSWERED_WITHIN: Final = (60.0, 120.0, 180.0, 300.0, 600.0, 1_800.0)
RESOLVED_WITHIN: Final = (300.0, 900.0, 1_800.0, 3_600.0, 14_400.0, 28_800.0)
SERVICES_SHOWN: Final = 20
NOTHING: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("incidents", "answered", "resolved", *Severity), 0),
    **dict.fromkeys(("answer_seconds", "resolve_seconds", "acknowledged_seconds", "in_progress_seconds"), 0.0),
    "answer_histogram": "0",
    "resolve_histogram": "0",
}
ROLL_UP: Final = Failpoint("incidents.roll_up")


class OverviewQuery(BaseModel):
    """The time that an overview is of: incidents created in it. It is widened to whole days or weeks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    since: Instant | None = None
    until: Instant | None = None
    by: Grain | None = None
    """By default `day` up to 92 days, else `week`."""
    team: Line | None = None


async def roll_up(db: Database, *, limit: int) -> bool:
    """Bring the figures of up to *limit* marked days and services up to date; True where more may be to do.

    One replica at a time; where another is at it, there is nothing to do.
    """
    async with ROLL_UP(), transaction(db) as cur:
        if not await rollup.lock_rollup(cur):
            return False
        stale = await rollup.take_stale(cur, limit=limit)
        if not stale:
            return await rollup.mark_history(cur)
        days, services = [row["day"] for row in stale], [row["service"] for row in stale]
        await rollup.refresh_services(cur, days=days, services=services)
        await rollup.refresh_teams(cur, sorted(set(days)))
        await rollup.refresh_weeks(cur, days=days, services=services)
    return True


async def look_over(db: Database, query: OverviewQuery, *, now: datetime | None = None) -> StatsOverview:
    """Return how well it went for the incidents created in some days, beside as many days before.

    Raise InvalidRequestError where the window is empty or longer than 366 days.
    """
    async with transaction(db) as cur:
        span = span_of(query.since, query.until, query.by, await locking.select_now(cur, now))
        progress = await rollup.select_progress(cur)
        rows = await overview.select_periods(cur, span, team=query.team)
        services = await overview.select_services(cur, span, team=query.team, limit=SERVICES_SHOWN)
        teams = await overview.select_teams(cur, span)
    periods = {row["starts_on"]: row for row in rows if row["starts_on"] is not None}
    sums = {row["earlier"]: row for row in rows if row["starts_on"] is None}
    total = sums.get(False, NOTHING)
    return StatsOverview(
        since=span.since,
        until=span.until,
        by=span.by,
        team=query.team,
        as_of=progress["as_of"],
        history_before=progress["history_before"],
        total=Figures(**_figures(total)),
        before=Figures(**_figures(sums.get(True, NOTHING))),
        periods=[Period(starts_on=day, **_figures(periods.get(day, NOTHING))) for day in span.starts],
        answered_within=_bins(total["answer_histogram"], ANSWERED_WITHIN),
        resolved_within=_bins(total["resolve_histogram"], RESOLVED_WITHIN),
        services=[
            NoisyService(service=row["service"], team=row["team"] or None, incidents=row["incidents"], **_both(row))
            for row in services
        ],
        teams=teams,
    )


def _figures(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "incidents": row["incidents"],
        "by_severity": {severity: row[severity] or 0 for severity in Severity},
        "acknowledged_seconds": row["acknowledged_seconds"],
        "in_progress_seconds": row["in_progress_seconds"],
        **_both(row),
    }


def _both(row: Mapping[str, Any]) -> dict[str, Durations]:
    return {
        "mtta": _durations(row["answered"], row["answer_seconds"], row["answer_histogram"]),
        "mttr": _durations(row["resolved"], row["resolve_seconds"], row["resolve_histogram"]),
    }


def _durations(count: int, seconds: float, stored: str) -> Durations:
    if not count:
        return Durations(count=0, mean_seconds=None, median_seconds=None, p95_seconds=None)
    histogram = Histogram.parse(stored)
    return Durations(
        count=count,
        mean_seconds=seconds / count,
        median_seconds=histogram.quantile(0.5),
        p95_seconds=histogram.quantile(0.95),
    )


def _bins(stored: str, limits: tuple[float, ...]) -> list[Bin]:
    counts = Histogram.parse(stored).between(limits)
    ends = (*limits, None)
    return [
        Bin(from_seconds=begin, to_seconds=end, incidents=count)
        for begin, end, count in zip((0.0, *limits), ends, counts, strict=True)
    ]
