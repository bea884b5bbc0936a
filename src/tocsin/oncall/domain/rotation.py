"""Rotations: when a shift begins, and which shift contains an instant, computed from an anchor."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
WEEK = timedelta(weeks=1)


@dataclass(frozen=True, slots=True)
class Rotation:
    """Shifts of whole days, numbered from an anchor in local wall-clock time.

    Each handoff is computed from the anchor and not from the previous handoff, and no duration is stored: a one-day
    shift lasts 23 or 25 hours when daylight saving time begins or ends.
    """

    zone: ZoneInfo
    anchor: datetime
    """Naive local time at which shift 0 begins."""
    period: timedelta
    """Length of a shift on the wall clock; whole days."""

    def local_start(self, number: int) -> datetime:
        """Return the naive local time at which shift *number* begins; *number* may be negative.

        Raise OverflowError outside the years 1 to 9999.
        """
        return self.anchor + number * self.period

    def handoff(self, number: int) -> datetime:
        """Return the instant in UTC at which shift *number* begins."""
        return first_instant(self.local_start(number), self.zone)

    def shift_number_at(self, at: datetime) -> int:
        """Return the number of the shift that contains *at* (an aware datetime).

        The estimate from the wall clock is off by at most two, near a change of the zone's offset or of its date line.
        """
        wall_clock = at.astimezone(self.zone).replace(tzinfo=None)
        number = (wall_clock - self.anchor) // self.period
        while self.handoff(number) > at:
            number -= 1
        while self.handoff(number + 1) <= at:
            number += 1
        return number

    def shift_numbers(self, since: datetime, until: datetime) -> Iterator[int]:
        """Yield the numbers of the shifts that overlap [since, until).

        The shift of a day that the zone skipped is empty and is left out.
        """
        number = self.shift_number_at(since)
        while (starts_at := self.handoff(number)) < until:
            if starts_at < self.handoff(number + 1):
                yield number
            number += 1


def first_instant(local: datetime, zone: ZoneInfo) -> datetime:
    """Convert a naive local time to UTC.

    An ambiguous time resolves to its first occurrence, a non-existent one to the first instant after the gap.
    """
    instant = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == local:
        return instant
    before = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    offset = _offset(before, zone)
    seconds = range(int((instant - before).total_seconds()))
    gap_ends = bisect_left(seconds, 1, key=lambda second: _offset(before + timedelta(seconds=second), zone) != offset)
    return before + timedelta(seconds=gap_ends)


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta | None:
    return instant.astimezone(zone).utcoffset()


def weekly_anchor(created_at: datetime, zone: ZoneInfo, weekday: int, handoff: time) -> datetime:
    """Return the anchor one week before ISO week 1 of the ISO year of *created_at*.

    During that year the number of a shift equals the ISO week in which it begins. *weekday* is 0 for Monday.
    """
    year = created_at.astimezone(zone).isocalendar().year
    return datetime.combine(date.fromisocalendar(year, 1, weekday + 1), handoff) - WEEK


def daily_anchor(created_at: datetime, zone: ZoneInfo, handoff: time) -> datetime:
    """Return the anchor one day before 1 January of the year of *created_at*.

    During that year the number of a shift equals the day of the year on which it begins.
    """
    return datetime.combine(date(created_at.astimezone(zone).year, 1, 1), handoff) - DAY
