"""Parse `Retry-After`: a number of seconds or a date (RFC 9110, section 10.2.3)."""

import re
from email.utils import parsedate_to_datetime
from typing import Final

from tocsin.kernel import clock

MAX_SECONDS: Final = 86_400.0


def retry_seconds(value: str | None) -> float:
    """Return the seconds to wait, from 0 to a day; 0 if *value* cannot be parsed.

    A date is compared with this machine's clock, which may differ from the sender's: the result is approximate.
    """
    if value is None:
        return 0.0
    if re.fullmatch(r"[0-9]+", value):
        return min(float(value[:9]), MAX_SECONDS)
    try:
        seconds = (parsedate_to_datetime(value) - clock.now()).total_seconds()
    except (ValueError, TypeError, OverflowError):  # TypeError: a date without a zone
        return 0.0
    return min(max(0.0, seconds), MAX_SECONDS)
