"""The tables of analytics with a bar in each row."""

from dataclasses import dataclass

from tocsin.contracts.escalations import Level
from tocsin.contracts.overview import HighestLevels, OnCallOverview, StatsOverview
from tocsin.web.pages.analytics.metric_charts import duration_cell, share_cell
from tocsin.web.ui import format as fmt
from tocsin.web.ui.tables import Cell, Column, Table


@dataclass(frozen=True, slots=True)
class RankingRow:
    """A row with a bar."""

    cells: list[Cell]
    percent: float
    """Length of the bar: a share of the whole, or relative to the largest row; see the column's heading."""
    night_percent: float = 0.0
    """The part of it at night."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """A table with a bar in each row."""

    table: Table
    rows: list[RankingRow]


def time_by_status_of(stats: StatsOverview) -> Ranking:
    """Return the time spent in each status."""
    total = stats.total
    acknowledged, resolved = total.mtta.count, total.mttr.count
    waited = (total.mtta.mean_seconds or 0.0) * acknowledged
    spent = (
        ("Open, unacknowledged", waited, acknowledged),
        ("Acknowledged, before work began", total.acknowledged_seconds, acknowledged),
        ("In progress", total.in_progress_seconds, resolved),
    )
    columns = [
        Column("Status", "status", numeric=False),
        Column("Share", "share_percent"),
        Column("Total", "total_seconds"),
        Column("Mean", "mean_seconds"),
    ]
    whole = sum(seconds for _, seconds, _ in spent)
    rows = [
        [
            Cell.plain(name),
            share_cell(int(seconds), int(whole)),
            Cell(fmt.duration(seconds), seconds),
            duration_cell(seconds / count if count else None),
        ]
        for name, seconds, count in spent
    ]
    percents = [100 * seconds / whole if whole else 0.0 for _, seconds, _ in spent]
    return Ranking(Table("time-by-status", columns, rows), _rows(rows, percents))


def services_of(stats: StatsOverview, on_call: OnCallOverview | None) -> Ranking:
    """Return the services with the most incidents. Those at night are from *on_call*, None while it is unavailable."""
    nights = {item.service: item.at_night for item in on_call.services} if on_call else {}
    columns = [
        Column("Service", "service", numeric=False),
        Column("Team", "team", numeric=False),
        Column("Incidents", "incidents"),
        Column("At night", "incidents_at_night"),
        Column("Acknowledged in", "time_to_acknowledge_median_seconds"),
        Column("Resolved in", "time_to_resolve_median_seconds"),
    ]
    rows = [
        [
            Cell.plain(item.service),
            Cell.plain(item.team or ""),
            Cell.plain(item.incidents),
            Cell.plain(nights.get(item.service, 0)) if on_call else Cell("", None),
            duration_cell(item.mtta.median_seconds),
            duration_cell(item.mttr.median_seconds),
        ]
        for item in stats.services
    ]
    most = max((item.incidents for item in stats.services), default=1)
    percents = [100 * item.incidents / most for item in stats.services]
    night_percents = [100 * min(nights.get(item.service, 0), item.incidents) / most for item in stats.services]
    return Ranking(Table("noisiest-services", columns, rows), _rows(rows, percents, night_percents))


def reached_of(total: HighestLevels) -> Ranking:
    """Return how far incidents were escalated."""

    def acknowledged_at(*levels: Level) -> int:
        return sum(total.answered.get(level, 0) for level in levels)

    results = (
        ("Acknowledged at level 1", acknowledged_at(Level.PRIMARY)),
        ("Acknowledged at level 2", acknowledged_at(Level.SECONDARY)),
        ("Acknowledged after everyone was paged", acknowledged_at(Level.EVERYONE)),
        ("Acknowledged after the catch-all contact was paged", acknowledged_at(Level.CATCH_ALL)),
        ("Resolved unacknowledged", sum(total.resolved.values())),
        ("Still unacknowledged", sum(total.running.values())),
        ("No page was delivered", total.nobody),
    )
    columns = [
        Column("Outcome", "how_far", numeric=False),
        Column("Share", "share_percent"),
        Column("Incidents", "incidents"),
    ]
    rows = [[Cell.plain(name), share_cell(count, total.incidents), Cell.plain(count)] for name, count in results]
    return Ranking(
        Table("escalations", columns, rows), _rows(rows, [100 * count / (total.incidents or 1) for _, count in results])
    )


def people_of(found: OnCallOverview) -> Ranking:
    """Return the pages per person."""
    columns = [
        Column("Person", "person", numeric=False),
        Column("Team", "team", numeric=False),
        Column("Pages", "pages"),
        Column("At night", "pages_at_night"),
        Column("Nights", "nights"),
    ]
    rows = [
        [
            Cell.plain(item.person),
            Cell.plain(item.team),
            Cell.plain(item.pages),
            Cell.plain(item.night_pages),
            Cell.plain(item.nights),
        ]
        for item in found.people
    ]
    most = max((item.pages for item in found.people), default=0) or 1
    percents = [100 * item.pages / most for item in found.people]
    night_percents = [100 * item.night_pages / most for item in found.people]
    return Ranking(Table("pages-per-person", columns, rows), _rows(rows, percents, night_percents))


def _rows(rows: list[list[Cell]], percents: list[float], night_percents: list[float] | None = None) -> list[RankingRow]:
    nights = night_percents or [0.0] * len(rows)
    return [
        RankingRow(cells, round(percent, 1), round(night, 1))
        for cells, percent, night in zip(rows, percents, nights, strict=True)
    ]
