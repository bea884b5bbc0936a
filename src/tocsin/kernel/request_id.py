"""The id that follows a request through every service, log line and queued message."""

import re
from contextvars import ContextVar
from typing import Final

from tocsin.kernel.ids import new_id

HEADER: Final = "X-Request-ID"
REQUEST_ID: Final[ContextVar[str]] = ContextVar("request_id", default="-")
_ALLOWED: Final = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


def accepted(given: str | None) -> str:
    """Return the caller's id where it is harmless in a log and a header, else a new one."""
    return given if given is not None and _ALLOWED.fullmatch(given) else str(new_id())
