"""Figures over many incidents: the summary of a window, and the overview by day or week."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import Any, Final

from tocsin.contracts.incidents import Durations, IncidentStatus, PeriodSummary, ServiceSummary, StatsSummary
from tocsin.contracts.model import Severity
from tocsin.contracts.overview import Bin, Figures, Grain, NoisyService, Period, StatsOverview
from tocsin.incidents.domain.histogram import Histogram
from tocsin.incidents.domain.time_range import calendar_range_of
from tocsin.incidents.queries import OverviewQuery, StatsQuery
from tocsin.incidents.repository import analytics, rollup, summary
from tocsin.incidents.service import Deps
from tocsin.kernel.db import Row, autocommit
from tocsin.kernel.time_range import window_of

ACKNOWLEDGED_WITHIN: Final = (60.0, 120.0, 180.0, 300.0, 600.0, 1_800.0)
RESOLVED_WITHIN: Final = (300.0, 900.0, 1_800.0, 3_600.0, 14_400.0, 28_800.0)
SERVICES_SHOWN: Final = 20
SUMMARY_SERVICES: Final = 50
EXACT_INCIDENTS: Final = 5_000
"""The most incidents whose percentiles a summary computes exactly, from the incidents: the roll-up takes as long."""
NOTHING: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("incidents", "acknowledged", "resolved", *Severity), 0),
    **dict.fromkeys(("acknowledgement_seconds", "resolution_seconds"), 0.0),
    **dict.fromkeys(("acknowledged_seconds", "in_progress_seconds"), 0.0),
    **dict.fromkeys(("acknowledgement_histogram", "resolution_histogram"), "0"),
}


async def get_summary(deps: Deps, query: StatsQuery) -> StatsSummary:
    """Return the figures of the incidents created in a window, by default the last 30 days.

    Those of more than EXACT_INCIDENTS are read from the roll-up. Raise InvalidRequestError if the window is empty or
    longer than 366 days.
    """
    async with autocommit(deps.db) as cur:
        progress = await rollup.select_progress(cur)
        begin, end = window_of(query.since, query.until, progress["now"])
        span = calendar_range_of(begin, end, Grain.DAY, progress["now"])
        span = replace(span, before=span.since)  # nothing is compared with the range before
        days, total = _by_period(await analytics.select_periods(cur, span, team=None))
        rolled_up = progress["history_before"] is None or progress["history_before"] <= begin
        if not rolled_up or total["incidents"] <= EXACT_INCIDENTS:
            return await summary.select_summary(cur, since=begin, until=end)
        services = await analytics.select_services(cur, span, team=None, limit=SUMMARY_SERVICES)
        in_progress = await summary.count_in_progress(cur, since=span.since, until=span.until)
    return StatsSummary(
        since=_midnight(span.since),
        until=_midnight(span.until),
        as_of=progress["as_of"],
        total=total["incidents"],
        by_status=_by_status(total, in_progress),
        by_severity={severity: total[severity] or 0 for severity in Severity},
        **_times(total),
        by_service=[
            ServiceSummary(service=row["service"], incidents=row["incidents"], **_times(row)) for row in services
        ],
        over_time=[_period_summary(day, days.get(day, NOTHING)) for day in span.starts],
    )


async def get_overview(deps: Deps, query: OverviewQuery) -> StatsOverview:
    """Return the figures of whole days or weeks, and those of the preceding range of the same length.

    Raise InvalidRequestError if the window is empty or longer than 366 days.
    """
    async with autocommit(deps.db) as cur:
        progress = await rollup.select_progress(cur)
        span = calendar_range_of(query.since, query.until, query.by, progress["now"])
        rows = await analytics.select_periods(cur, span, team=query.team)
        services = await analytics.select_services(cur, span, team=query.team, limit=SERVICES_SHOWN)
        teams = await analytics.select_teams(cur, span)
    periods, total = _by_period(rows)
    before = next((row for row in rows if row["earlier"]), NOTHING)
    return StatsOverview(
        since=span.since,
        until=span.until,
        by=span.by,
        team=query.team,
        as_of=progress["as_of"],
        history_before=progress["history_before"],
        total=Figures(**_figures(total)),
        before=Figures(**_figures(before)),
        periods=[Period(starts_on=day, **_figures(periods.get(day, NOTHING))) for day in span.starts],
        answered_within=_bins(total["acknowledgement_histogram"], ACKNOWLEDGED_WITHIN),
        resolved_within=_bins(total["resolution_histogram"], RESOLVED_WITHIN),
        services=[
            NoisyService(service=row["service"], team=row["team"] or None, incidents=row["incidents"], **_times(row))
            for row in services
        ],
        teams=teams,
    )


def _by_period(rows: Sequence[Row]) -> tuple[dict[date, Row], Mapping[str, Any]]:
    """Return the figures by the first day of their period, and the figures of the whole range."""
    periods = {row["starts_on"]: row for row in rows if row["starts_on"] is not None}
    return periods, next((row for row in rows if row["starts_on"] is None and not row["earlier"]), NOTHING)


def _by_status(total: Mapping[str, Any], in_progress: int) -> dict[IncidentStatus, int]:
    """Return the number of incidents by status; the roll-up, which is seconds behind, does not count those at work."""
    acknowledged = total["acknowledged"] - total["resolved"] - in_progress
    return {
        IncidentStatus.OPEN: total["incidents"] - total["acknowledged"],
        IncidentStatus.ACKNOWLEDGED: max(0, acknowledged),
        IncidentStatus.IN_PROGRESS: in_progress,
        IncidentStatus.RESOLVED: total["resolved"],
    }


def _period_summary(day: date, row: Mapping[str, Any]) -> PeriodSummary:
    return PeriodSummary(starts_at=_midnight(day), incidents=row["incidents"], **_times(row))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _figures(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "incidents": row["incidents"],
        "by_severity": {severity: row[severity] or 0 for severity in Severity},
        "acknowledged_seconds": row["acknowledged_seconds"],
        "in_progress_seconds": row["in_progress_seconds"],
        **_times(row),
    }


def _times(row: Mapping[str, Any]) -> dict[str, Durations]:
    return {
        "mtta": _durations(row["acknowledged"], row["acknowledgement_seconds"], row["acknowledgement_histogram"]),
        "mttr": _durations(row["resolved"], row["resolution_seconds"], row["resolution_histogram"]),
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
