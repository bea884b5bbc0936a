"""The time range of statistics."""

from datetime import date, datetime, timedelta
from typing import Final

from tocsin.kernel.errors import InvalidRequestError

DEFAULT_RANGE: Final = timedelta(days=30)
MAX_RANGE: Final = timedelta(days=366)


def window_of(since: datetime | None, until: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    """Return begin and end: by default the last 30 days, or the 30 days before *until*.

    Raise InvalidRequestError if the range is empty or longer than 366 days.
    """
    end = until or now
    try:
        begin = since or end - DEFAULT_RANGE
    except OverflowError as exc:
        detail = "The 30 days before it are outside the calendar."
        raise InvalidRequestError([{"pointer": "?until", "detail": detail}]) from exc
    if begin >= end:
        raise InvalidRequestError([{"pointer": "?since", "detail": f"Must be before {end.isoformat()}."}])
    if end - begin > MAX_RANGE:
        raise InvalidRequestError([{"pointer": "?since", "detail": "At most 366 days; set `until` as well."}])
    return begin, end


def days_of(since: datetime, until: datetime, *, whole_weeks: bool = False) -> tuple[date, date, date]:
    """Return (before, first, after) for the UTC days, or whole ISO weeks, that overlap a range.

    *after* is the day after the last; *before* starts the preceding range of the same length. Raise InvalidRequestError
    if the calendar ends before *after* or starts after *before*.
    """
    first, last = since.date(), (until - timedelta(microseconds=1)).date()
    try:
        if whole_weeks:
            first, last = first - timedelta(first.weekday()), last + timedelta(6 - last.weekday())
        after = last + timedelta(1)
        return first - (after - first), first, after
    except OverflowError as exc:
        detail = "The range, or the one before it, is outside the calendar."
        raise InvalidRequestError([{"pointer": "?since", "detail": detail}]) from exc
