"""The id that follows a request through every service, log line and queued message."""

import re
from contextvars import ContextVar
from typing import Final

from tocsin.kernel.ids import new_id

HEADER: Final = "X-Request-ID"
NO_REQUEST: Final = "-"
"""The id outside a request."""
REQUEST_ID: Final[ContextVar[str]] = ContextVar("request_id", default=NO_REQUEST)
_ALLOWED: Final = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


def valid_or_new(given: str | None) -> str:
    """Return *given* if it is safe in logs and headers, otherwise a new id."""
    if given is None or given == NO_REQUEST or not _ALLOWED.fullmatch(given):
        return str(new_id())
    return given
