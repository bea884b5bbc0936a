"""The tables of the metrics page whose rows have bars."""

from dataclasses import dataclass

from tocsin.contracts.escalations import Level
from tocsin.contracts.overview import OnCallOverview, Reached, StatsOverview
from tocsin.web.views import words
from tocsin.web.views.metric_charts import share, took
from tocsin.web.views.tables import Cell, Column, Table


@dataclass(frozen=True, slots=True)
class Bar:
    """A row of a table with a bar: how much of the longest, and how much of that at night."""

    cells: list[Cell]
    percent: float
    night_percent: float = 0.0


@dataclass(frozen=True, slots=True)
class Ranking:
    """A table whose rows have bars."""

    table: Table
    bars: list[Bar]


def states_of(found: StatsOverview) -> Ranking:
    """Show where the time went, in the order in which an incident passes them."""
    total = found.total
    answered, resolved = total.mtta.count, total.mttr.count
    waited = (total.mtta.mean_seconds or 0.0) * answered
    spent = (
        ("Open, waiting for an answer", waited, answered),
        ("Acknowledged, before work began", total.acknowledged_seconds, answered),
        ("In progress", total.in_progress_seconds, resolved),
    )
    columns = [
        Column("State", "state", numeric=False),
        Column("Share", "share_percent"),
        Column("In all", "total_seconds"),
        Column("Mean", "mean_seconds"),
    ]
    whole = sum(seconds for _, seconds, _ in spent)
    rows = [
        [
            Cell.plain(name),
            share(int(seconds), int(whole)),
            Cell(words.lasting(seconds), seconds),
            took(seconds / count if count else None),
        ]
        for name, seconds, count in spent
    ]
    percents = [100 * seconds / whole if whole else 0.0 for _, seconds, _ in spent]
    return Ranking(Table("time-by-state", columns, rows), _bars(rows, percents))


def services_of(found: StatsOverview, on_call: OnCallOverview | None) -> Ranking:
    """Show the noisiest services; at night is what on-call says, empty while it is away."""
    nights = {item.service: item.at_night for item in on_call.services} if on_call else {}
    columns = [
        Column("Service", "service", numeric=False),
        Column("Team", "team", numeric=False),
        Column("Incidents", "incidents"),
        Column("At night", "incidents_at_night"),
        Column("MTTA", "mtta_median_seconds"),
        Column("MTTR", "mttr_median_seconds"),
    ]
    rows = [
        [
            Cell.plain(item.service),
            Cell.plain(item.team or ""),
            Cell.plain(item.incidents),
            Cell.plain(nights.get(item.service, 0)) if on_call else Cell("", None),
            took(item.mtta.median_seconds),
            took(item.mttr.median_seconds),
        ]
        for item in found.services
    ]
    most = max((item.incidents for item in found.services), default=1)
    percents = [100 * item.incidents / most for item in found.services]
    dark = [100 * min(nights.get(item.service, 0), item.incidents) / most for item in found.services]
    return Ranking(Table("noisiest-services", columns, rows), _bars(rows, percents, dark))


def reached_of(total: Reached) -> Ranking:
    """Show how far paging went."""

    def answered(*levels: Level) -> int:
        return sum(total.answered.get(level, 0) for level in levels)

    ways = (
        ("Answered at level 1", answered(Level.PRIMARY)),
        ("Reached level 2", answered(Level.SECONDARY)),
        ("Reached everyone", answered(Level.EVERYONE, Level.CATCH_ALL)),
        ("Over before anybody answered", sum(total.resolved.values()) + total.nobody),
        ("Nobody has answered yet", sum(total.running.values())),
    )
    columns = [
        Column("How far", "how_far", numeric=False),
        Column("Share", "share_percent"),
        Column("Incidents", "incidents"),
    ]
    rows = [[Cell.plain(name), share(count, total.incidents), Cell.plain(count)] for name, count in ways]
    return Ranking(
        Table("escalations", columns, rows), _bars(rows, [100 * count / (total.incidents or 1) for _, count in ways])
    )


def people_of(found: OnCallOverview) -> Ranking:
    """Show whom pages reached, and when."""
    columns = [
        Column("Who", "person", numeric=False),
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
    dark = [100 * item.night_pages / most for item in found.people]
    return Ranking(Table("pages-per-person", columns, rows), _bars(rows, percents, dark))


def _bars(rows: list[list[Cell]], percents: list[float], dark: list[float] | None = None) -> list[Bar]:
    nights = dark or [0.0] * len(rows)
    return [
        Bar(cells, round(percent, 1), round(night, 1))
        for cells, percent, night in zip(rows, percents, nights, strict=True)
    ]
