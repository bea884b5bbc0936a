"""The charts of the metrics page, each with the table that says the same."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from tocsin.contracts.incidents import Durations
from tocsin.contracts.model import Severity
from tocsin.contracts.overview import Bin, Grain, Period, StatsOverview
from tocsin.web.views import plots, words
from tocsin.web.views.tables import Cell, Column, Table

Pick: TypeAlias = Callable[[Period], Durations]
AVERAGED: Final = {Grain.DAY: 7, Grain.WEEK: 4}
"""Over how many periods the moving average goes."""
TO_THE_SECOND: Final = 600
"""Seconds from which minutes are enough."""
NONE: Final = Cell("none", None)


@dataclass(frozen=True, slots=True)
class Trend:
    """Durations by day or week: the median, the mean, and the mean over the last few periods."""

    title: str
    said: str
    by: Grain
    axis: plots.Axis
    median: str
    area: str
    mean: str
    average: str
    averaged: int
    labels: list[str]
    table: Table


@dataclass(frozen=True, slots=True)
class Distribution:
    """How many incidents took how long."""

    title: str
    said: str
    axis: plots.Axis
    bars: list[plots.Rect]
    bins: list[tuple[str, int]]
    table: Table


@dataclass(frozen=True, slots=True)
class Volume:
    """How many incidents were opened, by day or week and severity."""

    said: str
    by: Grain
    axis: plots.Axis
    stacks: list[list[plots.Rect]]
    labels: list[str]
    table: Table


def trend_of(found: StatsOverview, title: str, name: str, pick: Pick) -> Trend:
    """Draw the durations that *pick* takes from each period."""
    durations = [pick(period) for period in found.periods]
    over = AVERAGED[found.by]
    medians, means = [item.median_seconds for item in durations], [item.mean_seconds for item in durations]
    averages = plots.moving([((item.mean_seconds or 0.0) * item.count, item.count) for item in durations], over)
    axis = plots.duration_axis([*medians, *means, *averages])
    columns = [
        _when(found.by),
        Column("Median", "median_seconds"),
        Column("Mean", "mean_seconds"),
        Column(f"Mean of {over} {found.by}s", f"mean_of_{over}_{found.by}s_seconds"),
        Column("95 %", "p95_seconds"),
        Column("Measured", "incidents"),
    ]
    rows = [
        [
            _day(period),
            *map(took, (item.median_seconds, item.mean_seconds, average, item.p95_seconds)),
            Cell.plain(item.count),
        ]
        for period, item, average in zip(found.periods, durations, averages, strict=True)
    ]
    return Trend(
        title=title,
        said=_said(title, medians, found.by),
        by=found.by,
        axis=axis,
        median=plots.line(medians, axis),
        area=plots.area(medians, axis),
        mean=plots.line(means, axis),
        average=plots.line(averages, axis),
        averaged=over,
        labels=plots.labelled([words.calendar_day(period.starts_on) for period in found.periods]),
        table=Table(name, columns, rows),
    )


def distribution_of(title: str, name: str, bins: Sequence[Bin], long: float) -> Distribution:
    """Draw how many took how long; from *long* seconds on bars stand out."""
    counts = [item.incidents for item in bins]
    total = sum(counts)
    axis = plots.count_axis(counts, "incidents")
    names = [_between(item) for item in bins]
    quick = sum(item.incidents for item in bins if item.to_seconds is not None and item.to_seconds <= long)
    rows = [
        [
            Cell(name if name.endswith("h") else f"{name} min", name),
            Cell(name, item.from_seconds),
            Cell(name, item.to_seconds),
            Cell.plain(item.incidents),
            share(item.incidents, total),
        ]
        for item, name in zip(bins, names, strict=True)
    ]
    within = f"{long / words.HOUR:g} h" if long >= words.HOUR else f"{long / words.MINUTE:g} min"
    return Distribution(
        title=title,
        said=f"{quick:,} of {words.count(total, 'incident')} within {within}",
        axis=axis,
        bars=plots.bars(counts, axis, ["b1" if _within(item, long) else "b2" for item in bins]),
        bins=list(zip(names, counts, strict=True)),
        table=Table(name, DISTRIBUTED, rows),
    )


DISTRIBUTED: Final = (
    Column("Took", "took", numeric=False),
    Column("", "from_seconds"),  # in the file alone: the page has them in the name
    Column("", "to_seconds"),
    Column("Incidents", "incidents"),
    Column("Share", "share_percent"),
)


def volume_of(found: StatsOverview) -> Volume:
    """Draw how many incidents were opened."""
    axis = plots.count_axis([period.incidents for period in found.periods], "incidents")
    parts = [{severity.value: period.by_severity.get(severity, 0) for severity in Severity} for period in found.periods]
    columns = [
        _when(found.by),
        *(Column(words.SEVERITY_WORDS[severity], severity.value) for severity in Severity),
        Column("All", "incidents"),
    ]
    rows = [
        [_day(period), *(Cell.plain(number) for number in counts.values()), Cell.plain(period.incidents)]
        for period, counts in zip(found.periods, parts, strict=True)
    ]
    fewest, most = (
        (min(numbers), max(numbers)) if (numbers := [period.incidents for period in found.periods]) else (0, 0)
    )
    return Volume(
        said=f"Between {fewest:,} and {words.count(most, 'incident')} a {found.by}",
        by=found.by,
        axis=axis,
        stacks=plots.stacks(parts, axis),
        labels=plots.labelled([words.calendar_day(period.starts_on) for period in found.periods]),
        table=Table("incidents", columns, rows),
    )


def took(seconds: float | None) -> Cell:
    """Return a duration as a cell."""
    if seconds is None:
        return NONE
    return Cell(words.ticking(seconds) if seconds < TO_THE_SECOND else words.lasting(seconds), seconds)


def share(part: int, total: int) -> Cell:
    """Return a part of a whole in per cent as a cell."""
    if not total:
        return NONE
    percent = 100 * part / total
    return Cell(f"{percent:.0f} %", round(percent, 1))


def _when(by: Grain) -> Column:
    return Column("Week of" if by is Grain.WEEK else "Day", "week_of" if by is Grain.WEEK else "day", numeric=False)


def _day(period: Period) -> Cell:
    return Cell(words.calendar_day(period.starts_on), period.starts_on.isoformat())


def _within(item: Bin, seconds: float) -> bool:
    return item.to_seconds is not None and item.to_seconds <= seconds


def _between(item: Bin) -> str:
    """Name a bin in minutes, or in hours where it ends after one: `< 1`, `5 to 15`, `1 to 4 h`."""
    last = item.to_seconds if item.to_seconds is not None else item.from_seconds
    size, unit = (words.HOUR, " h") if last > words.HOUR else (words.MINUTE, "")
    begin, end = f"{item.from_seconds / size:g}", f"{last / size:g}{unit}"
    if item.to_seconds is None:
        return f"> {end}"
    return f"{begin} to {end}" if item.from_seconds else f"< {end}"


def _said(title: str, medians: Sequence[float | None], by: Grain) -> str:
    known = [value for value in medians if value is not None]
    if not known:
        return f"{title}: nothing was measured"
    if len(known) == 1:
        return f"{title}: the median was {words.lasting(known[0])} in the one {by} that has any"
    return f"{title}: the median went from {words.lasting(known[0])} to {words.lasting(known[-1])}"
