"""Geometry of a schedule's picture: two weeks in per cent of their true hours, so that a day of 25 is wider."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from tocsin.contracts.oncall import PersonOnCall, Role, Shift
from tocsin.web.views import words

DAYS: Final = 14
HOUR: Final = timedelta(hours=1)
NAMED: Final = 4.0
"""Per cent of the picture's width from which on a bar has room for a first name."""
SPELT_OUT: Final = 13.0
"""And for a whole name, and until when."""
SATURDAY: Final = 5


@dataclass(frozen=True, slots=True)
class Day:
    """One day by the wall clock of the schedule's zone."""

    date: date
    x: float
    width: float
    hours: float
    weekend: bool
    today: bool

    @property
    def word(self) -> str:
        """`Mon 19`."""
        return f"{self.date:%a} {self.date.day}"


@dataclass(frozen=True, slots=True)
class ClockChange:
    """A moment at which the clocks of the zone are moved, within what is shown."""

    at: datetime
    day: date
    x: float
    width: float
    before: datetime
    after: datetime
    """The same instant by the wall clock, before and after."""
    hours: float
    """How long that day is."""

    @property
    def back(self) -> bool:
        """Whether an hour comes twice."""
        return self.after < self.before


@dataclass(frozen=True, slots=True)
class Bar:
    """One person's stretch on a lane; cut at the picture's edges, its figures are the whole stretch's."""

    x: float
    width: float
    person: str | None
    """None is a gap."""
    starts_at: datetime
    ends_at: datetime
    hours: float
    label: str
    detail: str


@dataclass(frozen=True, slots=True)
class Lane:
    """The stretches of one role, in order."""

    role: Role
    bars: list[Bar]


@dataclass(frozen=True, slots=True)
class Picture:
    """Two weeks of a schedule."""

    first: date
    last: date
    days: list[Day]
    changes: list[ClockChange]
    lanes: list[Lane]
    now_x: float | None
    """None where now is outside."""


@dataclass(frozen=True, slots=True)
class _Scale:
    start: datetime
    end: datetime

    def x(self, at: datetime) -> float:
        """Return where *at* lies, in per cent; at an edge where it lies beyond."""
        share = (min(max(at, self.start), self.end) - self.start) / (self.end - self.start)
        return round(100 * share, 3)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """Return the instant at which *day* begins in *zone*, in UTC."""
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)


def picture_of(shifts: Sequence[Shift], zone: ZoneInfo, first: date, now: datetime) -> Picture:
    """Lay out the *shifts* of two weeks from *first* on."""
    dates = [first + timedelta(days=number) for number in range(DAYS)]
    edges = [midnight(day, zone) for day in [*dates, first + timedelta(days=DAYS)]]
    scale = _Scale(edges[0], edges[-1])
    days = [
        Day(
            day,
            scale.x(begin),
            round(scale.x(end) - scale.x(begin), 3),
            (end - begin) / HOUR,
            day.weekday() >= SATURDAY,
            begin <= now < end,
        )
        for day, begin, end in zip(dates, edges, edges[1:], strict=False)
    ]
    instants = [
        _moved_at(begin, end, zone)
        for begin, end in pairwise(edges)
        if begin.astimezone(zone).utcoffset() != end.astimezone(zone).utcoffset()
    ]
    by_date = {day.date: day for day in days}
    changes = [
        _change(at, before, day, zone, scale)
        for at, before in instants
        # Clocks that skip a midnight are moved between two days: the later one is shorter.
        if (day := by_date.get(at.astimezone(zone).date()))
    ]
    return Picture(
        first=first,
        last=dates[-1],
        days=days,
        changes=changes,
        lanes=[
            Lane(Role.PRIMARY, _bars(shifts, lambda shift: shift.primary, zone, scale)),
            Lane(Role.SECONDARY, _bars(shifts, lambda shift: shift.secondary, zone, scale)),
        ],
        now_x=scale.x(now) if scale.start <= now < scale.end else None,
    )


def _moved_at(begin: datetime, end: datetime, zone: ZoneInfo) -> tuple[datetime, timedelta]:
    """Return when between two instants the offset of *zone* changes, and what it was before."""
    old = begin.astimezone(zone).utcoffset() or timedelta()
    low, high = begin, end
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        low, high = (middle, high) if middle.astimezone(zone).utcoffset() == old else (low, middle)
    return high.replace(microsecond=0), old


def _change(at: datetime, old: timedelta, day: Day, zone: ZoneInfo, scale: _Scale) -> ClockChange:
    before, after = (at + old).replace(tzinfo=None), at.astimezone(zone).replace(tzinfo=None)
    moved = abs(before - after)
    return ClockChange(
        at=at,
        day=day.date,
        x=scale.x(at - moved),
        width=round(scale.x(at + moved) - scale.x(at - moved), 3),
        before=before,
        after=after,
        hours=day.hours,
    )


def _bars(
    shifts: Sequence[Shift], who: Callable[[Shift], PersonOnCall | None], zone: ZoneInfo, scale: _Scale
) -> list[Bar]:
    stretches: list[tuple[str | None, datetime, datetime]] = []
    for shift in shifts:
        person = who(shift)
        name = person.name if person else None
        if stretches and stretches[-1][0] == name and stretches[-1][2] == shift.starts_at:
            stretches[-1] = (name, stretches[-1][1], shift.ends_at)
        else:
            stretches.append((name, shift.starts_at, shift.ends_at))
    return [
        _bar(name, start, end, zone, scale) for name, start, end in stretches if start < scale.end and end > scale.start
    ]


def _bar(name: str | None, start: datetime, end: datetime, zone: ZoneInfo, scale: _Scale) -> Bar:
    x = scale.x(start)
    width = round(scale.x(end) - x, 3)
    hours = (end - start) / HOUR
    said = f"{hours:g} h"
    label = detail = ""
    if width >= NAMED:
        person = name or "Nobody"
        label = person if width >= SPELT_OUT else person.split()[0]
        detail = said
    if width >= SPELT_OUT and end <= scale.end:
        detail = f"{said}, until {words.wall(end, zone)}"
    elif width >= SPELT_OUT and start >= scale.start:
        detail = f"from {words.wall(start, zone)}, {said}"
    return Bar(x, width, name, start, end, hours, label, detail)
