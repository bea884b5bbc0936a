"""The charts of analytics, each with a table of the same figures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from tocsin.contracts.incidents import Durations
from tocsin.contracts.model import Severity
from tocsin.contracts.overview import Bin, Grain, Period, StatsOverview
from tocsin.web.ui import charts
from tocsin.web.ui import format as fmt
from tocsin.web.ui.tables import Cell, Column, Table

Pick: TypeAlias = Callable[[Period], Durations]
AVERAGED: Final = {Grain.DAY: 7, Grain.WEEK: 4}
"""Periods in a moving average."""
EXACT_UNDER: Final = 600
"""Seconds below which durations are exact to the second."""
NONE: Final = Cell("none", None)


@dataclass(frozen=True, slots=True)
class Trend:
    """Durations by day or week: median, mean and moving average."""

    title: str
    summary: str
    by: Grain
    axis: charts.Axis
    median: str
    area: str
    mean: str
    average: str
    averaged: int
    labels: list[str]
    table: Table


@dataclass(frozen=True, slots=True)
class Distribution:
    """The number of incidents by duration."""

    title: str
    summary: str
    axis: charts.Axis
    bars: list[charts.Rect]
    bins: list[tuple[str, int]]
    limit: str
    """The duration from which bars are highlighted."""
    table: Table


@dataclass(frozen=True, slots=True)
class Volume:
    """The number of opened incidents, by day or week and severity."""

    summary: str
    by: Grain
    axis: charts.Axis
    stacks: list[list[charts.Rect]]
    labels: list[str]
    table: Table


def trend_of(stats: StatsOverview, title: str, name: str, pick: Pick) -> Trend:
    """Draw the durations that *pick* returns for each period."""
    durations = [pick(period) for period in stats.periods]
    over = AVERAGED[stats.by]
    medians, means = [item.median_seconds for item in durations], [item.mean_seconds for item in durations]
    averages = charts.moving_average(
        [((item.mean_seconds or 0.0) * item.count, item.count) for item in durations], over
    )
    axis = charts.duration_axis([*medians, *means, *averages])
    columns = [
        _when(stats.by),
        Column("Median", "median_seconds"),
        Column("Mean", "mean_seconds"),
        Column(f"Mean of {over} {stats.by}s", f"mean_of_{over}_{stats.by}s_seconds"),
        Column("95th percentile", "p95_seconds"),
        Column("Incidents measured", "incidents"),
    ]
    rows = [
        [
            _day(period),
            *map(duration_cell, (item.median_seconds, item.mean_seconds, average, item.p95_seconds)),
            Cell.plain(item.count),
        ]
        for period, item, average in zip(stats.periods, durations, averages, strict=True)
    ]
    return Trend(
        title=title,
        summary=_summary(title, medians, stats.by),
        by=stats.by,
        axis=axis,
        median=charts.line(medians, axis),
        area=charts.area(medians, axis),
        mean=charts.line(means, axis),
        average=charts.line(averages, axis),
        averaged=over,
        labels=charts.axis_labels([fmt.calendar_day(period.starts_on) for period in stats.periods]),
        table=Table(name, columns, rows),
    )


def distribution_of(title: str, name: str, bins: Sequence[Bin], long: float) -> Distribution:
    """Draw the number of incidents by duration; bars from *long* seconds on are highlighted."""
    counts = [item.incidents for item in bins]
    total = sum(counts)
    axis = charts.count_axis(counts, "incidents")
    names = [_between(item) for item in bins]
    quick = sum(item.incidents for item in bins if item.to_seconds is not None and item.to_seconds <= long)
    rows = [
        [
            Cell(name if name.endswith("h") else f"{name} min", name),
            Cell(name, item.from_seconds),
            Cell(name, item.to_seconds),
            Cell.plain(item.incidents),
            share_cell(item.incidents, total),
        ]
        for item, name in zip(bins, names, strict=True)
    ]
    within = f"{long / fmt.HOUR:g} h" if long >= fmt.HOUR else f"{long / fmt.MINUTE:g} min"
    return Distribution(
        title=title,
        summary=f"{quick:,} of {fmt.count(total, 'incident')} within {within}",
        axis=axis,
        bars=charts.bars(counts, axis, ["fill-1" if _within(item, long) else "fill-2" for item in bins]),
        bins=list(zip(names, counts, strict=True)),
        limit=within,
        table=Table(name, DISTRIBUTED, rows),
    )


DISTRIBUTED: Final = (
    Column("Took", "took", numeric=False),
    Column("", "from_seconds"),  # only in the file: on the page the name has them
    Column("", "to_seconds"),
    Column("Incidents", "incidents"),
    Column("Share", "share_percent"),
)


def volume_of(stats: StatsOverview) -> Volume:
    """Draw the number of opened incidents."""
    axis = charts.count_axis([period.incidents for period in stats.periods], "incidents")
    parts = [{severity.value: period.by_severity.get(severity, 0) for severity in Severity} for period in stats.periods]
    columns = [
        _when(stats.by),
        *(Column(fmt.SEVERITY_LABELS[severity], severity.value) for severity in Severity),
        Column("All", "incidents"),
    ]
    rows = [
        [_day(period), *(Cell.plain(number) for number in counts.values()), Cell.plain(period.incidents)]
        for period, counts in zip(stats.periods, parts, strict=True)
    ]
    fewest, most = (
        (min(numbers), max(numbers)) if (numbers := [period.incidents for period in stats.periods]) else (0, 0)
    )
    return Volume(
        summary=f"Between {fewest:,} and {fmt.count(most, 'incident')} a {stats.by}",
        by=stats.by,
        axis=axis,
        stacks=charts.stacks(parts, axis),
        labels=charts.axis_labels([fmt.calendar_day(period.starts_on) for period in stats.periods]),
        table=Table("incidents", columns, rows),
    )


def duration_cell(seconds: float | None) -> Cell:
    """Return a duration as a cell."""
    if seconds is None:
        return NONE
    return Cell(fmt.duration(seconds, clock_under=EXACT_UNDER), seconds)


def share_cell(part: int, total: int) -> Cell:
    """Return a percentage as a cell."""
    if not total:
        return NONE
    percent = 100 * part / total
    return Cell(f"{percent:.0f} %", round(percent, 1))


def _when(by: Grain) -> Column:
    return Column("Week of" if by is Grain.WEEK else "Day", "week_of" if by is Grain.WEEK else "day", numeric=False)


def _day(period: Period) -> Cell:
    return Cell(fmt.calendar_day(period.starts_on), period.starts_on.isoformat())


def _within(item: Bin, seconds: float) -> bool:
    return item.to_seconds is not None and item.to_seconds <= seconds


def _between(item: Bin) -> str:
    """Return the label of a bin in minutes, or in hours if it ends after one: `< 1`, `5 to 15`, `1 to 4 h`."""
    last = item.to_seconds if item.to_seconds is not None else item.from_seconds
    size, unit = (fmt.HOUR, " h") if last > fmt.HOUR else (fmt.MINUTE, "")
    begin, end = f"{item.from_seconds / size:g}", f"{last / size:g}{unit}"
    if item.to_seconds is None:
        return f"> {end}"
    return f"{begin} to {end}" if item.from_seconds else f"< {end}"


def _summary(title: str, medians: Sequence[float | None], by: Grain) -> str:
    known = [value for value in medians if value is not None]
    if not known:
        return f"{title}: no data"
    if len(known) == 1:
        return f"{title}: the median was {fmt.duration(known[0])} in the only {by} with data"
    return f"{title}: the median went from {fmt.duration(known[0])} to {fmt.duration(known[-1])}"
