"""The window that a summary looks at."""

from datetime import datetime, timedelta
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
