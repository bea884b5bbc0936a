"""The days or weeks that an overview looks at."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from tocsin.contracts.overview import Grain
from tocsin.kernel.time_range import days_of, window_of

MOST_DAYS: Final = timedelta(days=92)
"""A trend over more than that goes by weeks unless it is told otherwise."""


@dataclass(frozen=True, slots=True)
class Span:
    """Whole days, or whole weeks, of the UTC calendar."""

    before: date
    """When the time of the same length before `since` begins."""
    since: date
    until: date
    """The day after the last."""
    by: Grain

    @property
    def starts(self) -> list[date]:
        """The first day of each period."""
        step = timedelta(weeks=1) if self.by is Grain.WEEK else timedelta(days=1)
        return [self.since + number * step for number in range((self.until - self.since) // step)]


def span_of(since: datetime | None, until: datetime | None, by: Grain | None, now: datetime) -> Span:
    """Return the whole days, or weeks, that a window touches. Raise InvalidRequestError as `window_of` does."""
    begin, end = window_of(since, until, now)
    by = by or (Grain.DAY if end - begin <= MOST_DAYS else Grain.WEEK)
    return Span(*days_of(begin, end, whole_weeks=by is Grain.WEEK), by)
