"""The database's time, in which our services agree, without asking the database."""

from datetime import timedelta
from typing import Final

from aiohttp import web

from tocsin.kernel import clock


class SharedTime:
    """The clock of this process, corrected by the last measured difference to the database's.

    Before the first measurement, and in a process without a database, it is this process's clock.
    """

    def __init__(self) -> None:
        self._skew = timedelta()

    def correct(self, skew: timedelta) -> None:
        """Record how far this process's clock is ahead of the database's."""
        self._skew = skew

    def seconds(self) -> float:
        """Return the seconds since 1970 (RFC 7519, NumericDate)."""
        return (clock.now() - self._skew).timestamp()


SHARED_TIME: Final = web.AppKey("SHARED_TIME", SharedTime)
