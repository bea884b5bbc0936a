"""Response times of one kind of request, and its failures."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import aiohttp

from tocsin.kernel import clock


@dataclass(slots=True)
class Responses:
    """The durations of requests in seconds, and the errors of the failed ones."""

    seconds: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def quantile(self, share: float) -> float:
        """Return the duration within which *share* (0 to 1) of the requests ended."""
        return sorted(self.seconds)[round(share * (len(self.seconds) - 1))]

    async def record(self, request: Callable[[], Awaitable[None]]) -> None:
        """Make *request*, and record its duration, and its error if it fails."""
        started = clock.monotonic()
        try:
            await request()
        except (aiohttp.ClientError, TimeoutError) as exc:
            self.failed.append(f"{type(exc).__name__} {getattr(exc, 'status', '')}")
        self.seconds.append(clock.monotonic() - started)
