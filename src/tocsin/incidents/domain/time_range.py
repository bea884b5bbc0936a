"""The days or weeks that an overview covers."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from tocsin.contracts.overview import Grain
from tocsin.kernel.time_range import days_of, window_of

MAX_RANGE_BY_DAY: Final = timedelta(days=92)
"""A longer range is grouped by week by default."""


@dataclass(frozen=True, slots=True)
class CalendarRange:
    """Whole days, or whole weeks, of the UTC calendar."""

    before: date
    """Start of the preceding range of the same length."""
    since: date
    until: date
    """Exclusive."""
    by: Grain

    @property
    def starts(self) -> list[date]:
        """The first day of each period."""
        step = timedelta(weeks=1) if self.by is Grain.WEEK else timedelta(days=1)
        return [self.since + number * step for number in range((self.until - self.since) // step)]

    @property
    def whole_weeks(self) -> tuple[date, date]:
        """The first day of the first whole week, and the day after the last one: the end twice without a whole week."""
        last = self.until - timedelta(days=self.until.weekday())
        days_before = timedelta(days=-self.since.weekday() % 7)
        # A difference, because the next Monday may be after the last day of the calendar.
        return (self.since + days_before, last) if last - self.since > days_before else (self.until, self.until)


def calendar_range_of(since: datetime | None, until: datetime | None, by: Grain | None, now: datetime) -> CalendarRange:
    """Return the whole days, or weeks, that overlap a window. Raise InvalidRequestError as `window_of` does."""
    begin, end = window_of(since, until, now)
    by = by or (Grain.DAY if end - begin <= MAX_RANGE_BY_DAY else Grain.WEEK)
    return CalendarRange(*days_of(begin, end, whole_weeks=by is Grain.WEEK), by)
