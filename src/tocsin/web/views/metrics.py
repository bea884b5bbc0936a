"""The metrics page: how quickly people answer and repair, and what it costs them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from tocsin.contracts.escalations import Level
from tocsin.contracts.incidents import Durations
from tocsin.contracts.overview import Grain, OnCallOverview, Reached, StatsOverview
from tocsin.web.views import words
from tocsin.web.views.away import Degraded
from tocsin.web.views.metric_charts import (
    Distribution,
    Trend,
    Volume,
    distribution_of,
    trend_of,
    volume_of,
)
from tocsin.web.views.metric_rankings import Ranking, people_of, reached_of, services_of, states_of
from tocsin.web.views.tables import Table

ANSWERED_LATE: Final = 300.0
RESOLVED_LATE: Final = 3_600.0
"""Seconds from which the bars of a distribution stand out."""
DAY: Final = timedelta(days=1)
SAME: Final = 5
"""Per cent of change below which nobody should see a trend."""
FURTHER: Final = (Level.SECONDARY, Level.EVERYONE, Level.CATCH_ALL)


@dataclass(frozen=True, slots=True)
class Range:
    """How far back the page looks."""

    key: str
    """As in the URL."""
    word: str
    days: int
    """Up to and with today, or up to and with this week."""
    by: Grain

    @property
    def label(self) -> str:
        """As short as the picker wants it."""
        return f"{self.key[:-1]} {self.key[-1]}"

    @property
    def before(self) -> str:
        """The time that it is compared with."""
        return f"the {self.word} before"


RANGES: Final = {
    item.key: item
    for item in (
        Range("7d", "7 days", 7, Grain.DAY),
        Range("30d", "30 days", 30, Grain.DAY),
        Range("13w", "13 weeks", 91, Grain.WEEK),
        Range("1y", "52 weeks", 364, Grain.WEEK),
    )
}
DEFAULT_RANGE: Final = "13w"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure beside the time before."""

    name: str
    number: str
    unit: str
    change: str
    """Empty where it is the same, or nothing can be compared."""
    same: bool
    better: bool
    fell: bool
    before: str


@dataclass(frozen=True, slots=True)
class Metrics:
    """All that the page shows."""

    range: Range
    team: str
    at: datetime
    degraded: Degraded
    heading: str
    remark: str
    figures: list[Figure]
    found: StatsOverview | None
    trends: list[Trend]
    distributions: list[Distribution]
    volume: Volume | None
    states: Ranking | None
    services: Ranking | None
    on_call: OnCallOverview | None
    reached: Ranking | None
    people: Ranking | None

    @property
    def history_before(self) -> datetime | None:
        """From when on the figures are whole; None where they all are."""
        ends = [part.history_before for part in (self.found, self.on_call) if part and part.history_before]
        return max(ends, default=None)

    @property
    def teams(self) -> list[str]:
        """What can be chosen from: the one that is chosen, too, though it has no incident."""
        known = set(self.found.teams if self.found else ()) | ({self.team} if self.team else set())
        return sorted(known, key=str.casefold)

    @property
    def tables(self) -> Mapping[str, Table]:
        """Every table that can be downloaded, by name."""
        charts: list[Trend | Distribution | Volume] = [*self.trends, *self.distributions]
        charts += [self.volume] if self.volume else []
        rankings = [item for item in (self.states, self.services, self.reached, self.people) if item]
        return {item.table.name: item.table for item in [*charts, *rankings]}


def metrics_of(
    found: StatsOverview | None,
    on_call: OnCallOverview | None,
    *,
    chosen: Range,
    team: str,
    degraded: Degraded,
    at: datetime,
) -> Metrics:
    """Build the page from what the services answered; None is a service that is away."""
    heading, remark = _headed(found, chosen) if found else ("How it goes cannot be shown now", "")
    return Metrics(
        range=chosen,
        team=team,
        at=at,
        degraded=degraded,
        heading=heading,
        remark=remark,
        figures=[*(_incident_figures(found) if found else []), *(_page_figures(on_call) if on_call else [])],
        found=found,
        trends=[
            trend_of(found, "Time to answer", "time-to-answer", lambda period: period.mtta),
            trend_of(found, "Time to resolve", "time-to-resolve", lambda period: period.mttr),
        ]
        if found
        else [],
        distributions=[
            distribution_of("How long until somebody answers", "answered-within", found.answered_within, ANSWERED_LATE),
            distribution_of("How long until it is over", "resolved-within", found.resolved_within, RESOLVED_LATE),
        ]
        if found
        else [],
        volume=volume_of(found) if found else None,
        states=states_of(found) if found else None,
        services=services_of(found, on_call) if found else None,
        on_call=on_call,
        reached=reached_of(on_call.total) if on_call else None,
        people=people_of(on_call) if on_call else None,
    )


def _headed(found: StatsOverview, chosen: Range) -> tuple[str, str]:
    total, before = found.total, found.before
    team = f" of {found.team}" if found.team else ""
    if not total.incidents:
        return f"No incident{team} in {chosen.word}", f"{words.count(before.incidents, 'incident')} in {chosen.before}."
    counted = f"{chosen.word}, {words.count(total.incidents, 'incident')}{team}"
    answered, resolved = total.mtta.median_seconds, total.mttr.median_seconds
    if answered is None:
        return "Nobody has answered yet", f"{counted[:1].upper()}{counted[1:]}."
    heading = f"Answered in {_short(answered)}" + (f", repaired in {_short(resolved)}" if resolved is not None else "")
    compared = [
        f"people answer {said}" if (said := _compared(total.mtta, before.mtta)) else "",
        f"repair takes {said}" if (said := _compared(total.mttr, before.mttr, longer=True)) else "",
    ]
    known = "; ".join(filter(None, compared))
    than = f" {known[:1].upper()}{known[1:]}, against {chosen.before}." if known else ""
    return heading, f"Medians over {counted}.{than}"


def _compared(now: Durations, then: Durations, *, longer: bool = False) -> str:
    percent = _change(now.median_seconds, then.median_seconds)
    if percent is None:
        return ""
    if abs(percent) < SAME:
        return "as long as it did" if longer else "as fast as they did"
    more, less = ("longer", "less long") if longer else ("more slowly", "faster")
    return f"{abs(percent)} % {more if percent > 0 else less}"


def _change(now: float | None, then: float | None) -> int | None:
    return round(100 * (now / then - 1)) if now is not None and then else None


def _short(seconds: float) -> str:
    number, unit = words.figure(seconds)
    return number if ":" in number else f"{number} {unit}".strip()


def _incident_figures(found: StatsOverview) -> list[Figure]:
    total, before = found.total, found.before
    return [
        _duration_figure("MTTA, median", total.mtta.median_seconds, before.mtta.median_seconds),
        _duration_figure("MTTR, median", total.mttr.median_seconds, before.mttr.median_seconds),
        _figure("Incidents", (f"{total.incidents:,}", ""), total.incidents, before.incidents, f"{before.incidents:,}"),
    ]


def _duration_figure(name: str, now: float | None, then: float | None) -> Figure:
    number, unit = words.figure(now) if now is not None else ("none", "")
    return _figure(name, (number, unit), now, then, _short(then) if then is not None else "")


def _figure(name: str, shown: tuple[str, str], now: float | None, then: float | None, before: str) -> Figure:
    percent = _change(now, then) or 0
    change = f"{abs(percent)} %" if percent else ""
    same = not percent and bool(now) == bool(then)
    return Figure(name, *shown, change=change, same=same, better=percent < 0, fell=percent < 0, before=before)


def _page_figures(found: OnCallOverview) -> list[Figure]:
    now, then = _further(found.total), _further(found.before)
    points = round(now - then) if now is not None and then is not None else 0
    nights, before = found.total.nights, found.before.nights
    return [
        Figure(
            "Escalated past level 1",
            "none" if now is None else f"{now:.0f}",
            "" if now is None else "%",
            change=words.count(abs(points), "point") if points else "",
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


def _further(reached: Reached) -> float | None:
    """Return the share, in per cent, of incidents for which more than the first person was paged."""
    if not reached.incidents:
        return None
    ways = (reached.answered, reached.resolved, reached.running)
    return 100 * sum(way.get(level, 0) for way in ways for level in FURTHER) / reached.incidents
