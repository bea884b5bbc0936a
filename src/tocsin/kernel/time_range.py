"""The window that a figure looks at."""

from datetime import date, datetime, timedelta
from typing import Final

from tocsin.kernel.errors import InvalidRequestError

DEFAULT: Final = timedelta(days=30)
LONGEST: Final = timedelta(days=366)


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


def days_of(since: datetime, until: datetime, *, whole_weeks: bool = False) -> tuple[date, date, date]:
    """Return the days, or ISO weeks, of UTC that a window touches: first, day after the last, and as many days before.

    In the order of the calendar: before, first, after. Raise InvalidRequestError where the calendar has no such days.
    """
    first, last = since.date(), (until - timedelta(microseconds=1)).date()
    try:
        if whole_weeks:
            first, last = first - timedelta(first.weekday()), last + timedelta(6 - last.weekday())
        after = last + timedelta(1)
        return first - (after - first), first, after
    except OverflowError as exc:
        detail = "The calendar ends before as many days before it, or after it."
        raise InvalidRequestError([{"pointer": "?since", "detail": detail}]) from exc
