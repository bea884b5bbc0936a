"""The view of analytics: how long incidents take, and how often people are paged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from tocsin.contracts.escalations import Level
from tocsin.contracts.incidents import Durations
from tocsin.contracts.overview import Grain, HighestLevels, OnCallOverview, Period, StatsOverview
from tocsin.web.pages.analytics.metric_charts import (
    Distribution,
    Trend,
    Volume,
    distribution_of,
    trend_of,
    volume_of,
)
from tocsin.web.pages.analytics.metric_rankings import Ranking, people_of, reached_of, services_of, time_by_status_of
from tocsin.web.ui import format as fmt
from tocsin.web.ui.outages import Outages
from tocsin.web.ui.tables import Table

ACKNOWLEDGED_LATE: Final = 300.0
RESOLVED_LATE: Final = 3_600.0
"""Bars of a distribution are highlighted from this duration on, in seconds."""
DAY: Final = timedelta(days=1)
MIN_TREND_PERCENT: Final = 5
"""Change in per cent below which there is no trend."""
LEVELS_PAST_FIRST: Final = (Level.SECONDARY, Level.EVERYONE)


@dataclass(frozen=True, slots=True)
class Range:
    """A time range."""

    key: str
    """As in the URL."""
    name: str
    days: int
    """Up to and including today, or this week."""
    by: Grain

    @property
    def label(self) -> str:
        """The label in the picker."""
        return f"{self.key[:-1]} {self.key[-1]}"

    @property
    def before(self) -> str:
        """The range that it is compared with."""
        return f"the {self.name} before"


RANGES: Final = {
    item.key: item
    for item in (
        Range("7d", "7 days", 7, Grain.DAY),
        Range("30d", "30 days", 30, Grain.DAY),
        Range("13w", "13 weeks", 91, Grain.WEEK),
        Range("1y", "52 weeks", 364, Grain.WEEK),
    )
}
LONGEST_DEFAULT: Final = RANGES["13w"]
EMPTY_DEFAULT: Final = RANGES["30d"]
ENOUGH_INCIDENTS: Final = 10
"""The number of incidents from which a range can be the default."""


def default_range(days: Sequence[Period], today: date) -> Range:
    """Return the shortest range with enough incidents, or with all of the last 13 weeks if those are fewer."""
    ranges = [item for item in RANGES.values() if item.days <= LONGEST_DEFAULT.days]
    counts = {
        item.key: sum(day.incidents for day in days if day.starts_on > today - timedelta(days=item.days))
        for item in ranges
    }
    wanted = min(ENOUGH_INCIDENTS, counts[LONGEST_DEFAULT.key])
    return next(item for item in ranges if counts[item.key] >= wanted) if wanted else EMPTY_DEFAULT


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure compared with the range before."""

    name: str
    number: str
    unit: str
    change: str
    """The difference; empty if there is none, or nothing to compare with."""
    same: bool
    better: bool
    fell: bool
    before: str


@dataclass(frozen=True, slots=True)
class AnalyticsData:
    """What the services returned; None where one is unavailable."""

    at: datetime
    range: Range
    team: str
    """Empty for all teams."""
    stats: StatsOverview | None
    on_call: OnCallOverview | None
    outages: Outages


@dataclass(frozen=True, slots=True)
class AnalyticsView:
    """All that the page shows."""

    range: Range
    team: str
    at: datetime
    outages: Outages
    heading: str
    remark: str
    figures: list[Figure]
    stats: StatsOverview | None
    trends: list[Trend]
    distributions: list[Distribution]
    volume: Volume | None
    time_by_status: Ranking | None
    services: Ranking | None
    on_call: OnCallOverview | None
    reached: Ranking | None
    people: Ranking | None

    @property
    def nothing_yet(self) -> bool:
        """Whether no incident was opened, so that there is nothing to draw."""
        return self.stats is not None and not self.stats.total.incidents

    @property
    def longer(self) -> list[Range]:
        """The longer ranges."""
        return [item for item in RANGES.values() if item.days > self.range.days]

    @property
    def history_before(self) -> datetime | None:
        """The instant from which the figures are complete; None if they all are."""
        ends = [part.history_before for part in (self.stats, self.on_call) if part and part.history_before]
        return max(ends, default=None)

    @property
    def teams(self) -> list[str]:
        """The teams to choose from, including a chosen one without incidents."""
        known = set(self.stats.teams if self.stats else ()) | ({self.team} if self.team else set())
        return sorted(known, key=str.casefold)

    @property
    def tables(self) -> Mapping[str, Table]:
        """Every downloadable table, by name."""
        charts: list[Trend | Distribution | Volume] = [*self.trends, *self.distributions]
        charts += [self.volume] if self.volume else []
        rankings = [item for item in (self.time_by_status, self.services, self.reached, self.people) if item]
        return {item.table.name: item.table for item in [*charts, *rankings]}


def analytics_view(data: AnalyticsData) -> AnalyticsView:
    """Return the page's view of *data*."""
    stats, on_call = data.stats, data.on_call
    heading, remark = _heading(stats, data.range) if stats else ("Metrics cannot be shown right now", "")
    return AnalyticsView(
        range=data.range,
        team=data.team,
        at=data.at,
        outages=data.outages,
        heading=heading,
        remark=remark,
        figures=[*(_incident_figures(stats) if stats else []), *(_page_figures(on_call) if on_call else [])],
        stats=stats,
        trends=_trends(stats) if stats else [],
        distributions=_distributions(stats) if stats else [],
        volume=volume_of(stats) if stats else None,
        time_by_status=time_by_status_of(stats) if stats else None,
        services=services_of(stats, on_call) if stats else None,
        on_call=on_call,
        reached=reached_of(on_call.total) if on_call else None,
        people=people_of(on_call) if on_call else None,
    )


def _trends(stats: StatsOverview) -> list[Trend]:
    return [
        trend_of(stats, "Time to acknowledge", "time-to-acknowledge", lambda period: period.mtta),
        trend_of(stats, "Time to resolve", "time-to-resolve", lambda period: period.mttr),
    ]


def _distributions(stats: StatsOverview) -> list[Distribution]:
    acknowledged, resolved = stats.answered_within, stats.resolved_within
    return [
        distribution_of("Time until acknowledged", "acknowledged-within", acknowledged, ACKNOWLEDGED_LATE),
        distribution_of("Time until resolved", "resolved-within", resolved, RESOLVED_LATE),
    ]


def _heading(stats: StatsOverview, chosen: Range) -> tuple[str, str]:
    total, before = stats.total, stats.before
    team = f" for {stats.team}" if stats.team else ""
    if not total.incidents:
        return f"No incident{team} in {chosen.name}", f"{fmt.count(before.incidents, 'incident')} in {chosen.before}."
    counted = f"{chosen.name}, {fmt.count(total.incidents, 'incident')}{team}"
    acknowledged, resolved = total.mtta.median_seconds, total.mttr.median_seconds
    if acknowledged is None:
        return "No incident has been acknowledged yet", f"{counted[:1].upper()}{counted[1:]}."
    heading = f"Acknowledged in {_short(acknowledged)}"
    heading += f", resolved in {_short(resolved)}" if resolved is not None else ""
    compared = [
        f"time to acknowledge {change}" if (change := _compared(total.mtta, before.mtta)) else "",
        f"time to resolve {change}" if (change := _compared(total.mttr, before.mttr)) else "",
    ]
    known = "; ".join(filter(None, compared))
    than = f" {known[:1].upper()}{known[1:]}, compared with {chosen.before}." if known else ""
    return heading, f"Medians over {counted}.{than}"


def _compared(now: Durations, then: Durations) -> str:
    percent = _change(now.median_seconds, then.median_seconds)
    if percent is None:
        return ""
    if abs(percent) < MIN_TREND_PERCENT:
        return "unchanged"
    return f"{'up' if percent > 0 else 'down'} {abs(percent)} %"


def _change(now: float | None, then: float | None) -> int | None:
    return round(100 * (now / then - 1)) if now is not None and then else None


def _short(seconds: float) -> str:
    number, unit = fmt.figure(seconds)
    return f"{number} {unit}".strip()


def _incident_figures(stats: StatsOverview) -> list[Figure]:
    total, before = stats.total, stats.before
    return [
        _duration_figure("Time to acknowledge", total.mtta.median_seconds, before.mtta.median_seconds),
        _duration_figure("Time to resolve", total.mttr.median_seconds, before.mttr.median_seconds),
        _figure("Incidents", (f"{total.incidents:,}", ""), total.incidents, before.incidents, f"{before.incidents:,}"),
    ]


def _duration_figure(name: str, now: float | None, then: float | None) -> Figure:
    number, unit = fmt.figure(now) if now is not None else ("none", "")
    named = f"{unit}, median" if unit else "median"
    return _figure(
        name, (number, named if now is not None else ""), now, then, _short(then) if then is not None else ""
    )


def _figure(name: str, shown: tuple[str, str], now: float | None, then: float | None, before: str) -> Figure:
    percent = _change(now, then) or 0
    change = f"{abs(percent)} %" if percent else ""
    same = not percent and bool(now) == bool(then)
    return Figure(name, *shown, change=change, same=same, better=percent < 0, fell=percent < 0, before=before)


def _page_figures(found: OnCallOverview) -> list[Figure]:
    now, then = _escalated_percent(found.total), _escalated_percent(found.before)
    points = round(now - then) if now is not None and then is not None else 0
    nights, before = found.total.nights, found.before.nights
    return [
        Figure(
            "Escalated past level 1",
            "none" if now is None else f"{now:.0f}",
            "" if now is None else "%",
            change=fmt.count(abs(points), "point") if points else "",
            same=not points and (now is None) == (then is None),
            better=points < 0,
            fell=points < 0,
            before="" if then is None else f"{then:.0f} %",
        ),
        Figure(
            "Nights interrupted",
            str(nights),
            f"of {(min(found.until, found.as_of.date() + DAY) - found.since).days}",
            change=str(abs(nights - before)) if nights != before else "",
            same=nights == before,
            better=nights < before,
            fell=nights < before,
            before=str(before),
        ),
    ]


def _escalated_percent(reached: HighestLevels) -> float | None:
    """Return the percentage of incidents escalated beyond the first level."""
    if not reached.incidents:
        return None
    outcomes = (reached.answered, reached.resolved, reached.running)
    return 100 * sum(outcome.get(level, 0) for outcome in outcomes for level in LEVELS_PAST_FIRST) / reached.incidents
