"""Rotations as pure functions of their anchor: when a turn begins, and which turn an instant belongs to."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
WEEK = timedelta(weeks=1)


@dataclass(frozen=True, slots=True)
class Rotation:
    """Turns of whole days, counted in local wall-clock time from an anchor.

    Handoffs are computed from the anchor and never from one another, and no duration is ever stored: a turn is as long
    as the wall clock makes it (23 or 25 hours where the clocks change).
    """

    zone: ZoneInfo
    anchor: datetime
    """Local wall clock without zone: where turn 0 begins."""
    period: timedelta
    """Whole days."""

    def local_start(self, turn: int) -> datetime:
        """Say when *turn* (any integer) begins by the wall clock. Raise OverflowError outside the years 1 to 9999."""
        return self.anchor + turn * self.period

    def handoff(self, turn: int) -> datetime:
        """Say when *turn* begins, in UTC."""
        return first_instant(self.local_start(turn), self.zone)

    def turn_at(self, at: datetime) -> int:
        """Find the turn that an aware instant belongs to: the last one that has begun.

        The guess by the wall clock is off by at most two, where the clocks change or a zone left out a whole day.
        """
        wall_clock = at.astimezone(self.zone).replace(tzinfo=None)
        turn = (wall_clock - self.anchor) // self.period
        while self.handoff(turn) > at:
            turn -= 1
        while self.handoff(turn + 1) <= at:
            turn += 1
        return turn

    def turns(self, since: datetime, until: datetime) -> Iterator[int]:
        """Yield the turns that meet [since, until), without the empty one of a day that the zone left out."""
        turn = self.turn_at(since)
        while (starts_at := self.handoff(turn)) < until:
            if starts_at < self.handoff(turn + 1):
                yield turn
            turn += 1


def first_instant(local: datetime, zone: ZoneInfo) -> datetime:
    """Resolve a wall clock reading to UTC.

    One that comes twice means its first occurrence; one that the clocks skip means the first instant after the gap.
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


def weekly_anchor(made_at: datetime, zone: ZoneInfo, weekday: int, handoff: time) -> datetime:
    """Anchor a weekly rotation one turn before ISO week 1 of the ISO year of *made_at*.

    Counted from there, all through that year the number of a turn is the number of the ISO week in which it begins.
    *weekday* is 0 for Monday.
    """
    year = made_at.astimezone(zone).isocalendar().year
    return datetime.combine(date.fromisocalendar(year, 1, weekday + 1), handoff) - WEEK


def daily_anchor(made_at: datetime, zone: ZoneInfo, handoff: time) -> datetime:
    """Anchor a daily rotation one turn before 1 January of the year of *made_at*.

    Counted from there, all through that year the number of a turn is the number of the day in which it begins.
    """
    return datetime.combine(date(made_at.astimezone(zone).year, 1, 1), handoff) - DAY
