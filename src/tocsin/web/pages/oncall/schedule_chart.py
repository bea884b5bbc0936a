"""Geometry of the schedule chart: two weeks, to the scale of elapsed time, so that a day of 25 hours is wider."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from tocsin.contracts.oncall import PersonOnCall, Role, Shift
from tocsin.web.ui import format as fmt

DAYS: Final = 14
HOUR: Final = timedelta(hours=1)
MIN_WIDTH_FIRST_NAME: Final = 4.0
"""Minimum width of a bar that shows a first name, in per cent of the chart."""
MIN_WIDTH_FULL_NAME: Final = 13.0
"""Minimum width of a bar that shows a full name and when its shift ends."""
NOW_LABEL_HALF_WIDTH: Final = 2.3
"""Half the width of the current time's label, in per cent of the narrowest chart."""
SATURDAY: Final = 5


@dataclass(frozen=True, slots=True)
class Day:
    """One day in the schedule's time zone."""

    date: date
    x: float
    width: float
    hours: float
    weekend: bool
    today: bool

    @property
    def label(self) -> str:
        """`Mon 19`."""
        return f"{self.date:%a} {self.date.day}"


@dataclass(frozen=True, slots=True)
class ClockChange:
    """A clock change within the chart."""

    at: datetime
    day: date
    x: float
    width: float
    before: datetime
    after: datetime
    """Local time of the instant, before and after."""
    hours: float
    """The length of that day."""

    @property
    def back(self) -> bool:
        """Whether an hour repeats."""
        return self.after < self.before


@dataclass(frozen=True, slots=True)
class ShiftBar:
    """One person's consecutive shifts. `x` and `width` are clipped at the chart's edges, times and hours are not."""

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
    """The bars of one role, in order."""

    role: Role
    bars: list[ShiftBar]


@dataclass(frozen=True, slots=True)
class ScheduleChart:
    """Two weeks of a schedule."""

    first: date
    last: date
    days: list[Day]
    changes: list[ClockChange]
    lanes: list[Lane]
    now_x: float | None
    """None if now is outside the chart."""

    @property
    def now_label_x(self) -> float | None:
        """The centre of the current time's label, clamped so that the label stays within the chart."""
        return None if self.now_x is None else min(max(self.now_x, NOW_LABEL_HALF_WIDTH), 100 - NOW_LABEL_HALF_WIDTH)


@dataclass(frozen=True, slots=True)
class _TimeScale:
    start: datetime
    end: datetime

    def x(self, at: datetime) -> float:
        """Return the position of *at* in per cent, clamped to the chart."""
        share = (min(max(at, self.start), self.end) - self.start) / (self.end - self.start)
        return round(100 * share, 3)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """Return the instant at which *day* begins in *zone*, in UTC."""
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)


def chart_of(shifts: Sequence[Shift], zone: ZoneInfo, first: date, now: datetime) -> ScheduleChart:
    """Return the chart of *shifts* for the two weeks from *first* on."""
    dates = [first + timedelta(days=number) for number in range(DAYS)]
    edges = [midnight(day, zone) for day in [*dates, first + timedelta(days=DAYS)]]
    scale = _TimeScale(edges[0], edges[-1])
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
        # A clock change at midnight belongs to the later day, which is shorter.
        if (day := by_date.get(at.astimezone(zone).date()))
    ]
    return ScheduleChart(
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
    """Return when the offset of *zone* changes between two instants, and the offset before."""
    old = begin.astimezone(zone).utcoffset() or timedelta()
    low, high = begin, end
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        low, high = (middle, high) if middle.astimezone(zone).utcoffset() == old else (low, middle)
    return high.replace(microsecond=0), old


def _change(at: datetime, old: timedelta, day: Day, zone: ZoneInfo, scale: _TimeScale) -> ClockChange:
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
    shifts: Sequence[Shift], who: Callable[[Shift], PersonOnCall | None], zone: ZoneInfo, scale: _TimeScale
) -> list[ShiftBar]:
    spans: list[tuple[str | None, datetime, datetime]] = []
    for shift in shifts:
        person = who(shift)
        name = person.name if person else None
        if spans and spans[-1][0] == name and spans[-1][2] == shift.starts_at:
            spans[-1] = (name, spans[-1][1], shift.ends_at)
        else:
            spans.append((name, shift.starts_at, shift.ends_at))
    return [
        _bar(name, start, end, zone, scale) for name, start, end in spans if start < scale.end and end > scale.start
    ]


def _bar(name: str | None, start: datetime, end: datetime, zone: ZoneInfo, scale: _TimeScale) -> ShiftBar:
    x = scale.x(start)
    width = round(scale.x(end) - x, 3)
    hours = (end - start) / HOUR
    length = f"{hours:g} h"
    label = detail = ""
    if width >= MIN_WIDTH_FIRST_NAME:
        person = name or "Nobody"
        label = person if width >= MIN_WIDTH_FULL_NAME else person.split()[0]
        detail = length
    if width >= MIN_WIDTH_FULL_NAME and end <= scale.end:
        detail = f"{length}, until {fmt.wall(end, zone)}"
    elif width >= MIN_WIDTH_FULL_NAME and start >= scale.start:
        detail = f"from {fmt.wall(start, zone)}, {length}"
    return ShiftBar(x, width, name, start, end, hours, label, detail)
