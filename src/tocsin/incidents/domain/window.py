"""The window that a summary looks at."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from tocsin.contracts.overview import Grain
from tocsin.kernel.errors import InvalidRequestError

DEFAULT: Final = timedelta(days=30)
LONGEST: Final = timedelta(days=366)
DAY: Final = timedelta(days=1)
WEEK: Final = timedelta(days=7)
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
        step = WEEK if self.by is Grain.WEEK else DAY
        return [self.since + number * step for number in range((self.until - self.since) // step)]


def window_of(since: datetime | None, until: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    """Return begin and end: by default the last 30 days, or the 30 days before *until*.

    Raise InvalidRequestError where that is empty, or longer than 366 days.
    """
    end = until or now
    try:
        begin = since or end - DEFAULT
    except OverflowError as exc:
        raise InvalidRequestError([{"pointer": "?until", "detail": "There is no time so far before it."}]) from exc
    if begin >= end:
        raise InvalidRequestError([{"pointer": "?since", "detail": f"Must be before {end.isoformat()}."}])
    if end - begin > LONGEST:
        raise InvalidRequestError([{"pointer": "?since", "detail": "At most 366 days at once; set until, too."}])
    return begin, end


def span_of(since: datetime | None, until: datetime | None, by: Grain | None, now: datetime) -> Span:
    """Return the whole days, or weeks, that a window touches. Raise InvalidRequestError as `window_of` does."""
    begin, end = window_of(since, until, now)
    by = by or (Grain.DAY if end - begin <= MOST_DAYS else Grain.WEEK)
    first, last = begin.date(), (end - timedelta(microseconds=1)).date()
    try:
        if by is Grain.WEEK:
            first, last = first - first.weekday() * DAY, last + (6 - last.weekday()) * DAY
        after = last + DAY
        return Span(first - (after - first), first, after, by)
    except OverflowError as exc:
        detail = "The calendar ends before as many days before it, or after it."
        raise InvalidRequestError([{"pointer": "?since", "detail": detail}]) from exc
