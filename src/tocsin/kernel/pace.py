"""The size and the time-out of the next call to another service, from the latency of the calls before it."""

from dataclasses import dataclass
from typing import Final

GAIN: Final = 1 / 8
DEVIATION_GAIN: Final = 1 / 4
DEVIATIONS: Final = 4
"""As TCP estimates its retransmission time-out (RFC 6298, section 2)."""


@dataclass(slots=True)
class Pace:
    """Calls become smaller while they take longer than `target_seconds`, and larger again once they do not.

    A time-out that is too short is worse than a long one: the other service completes the work, and then gets it again.
    """

    max_size: int
    """The most items in one call."""
    min_size: int
    """The fewest, unless calls fail: each call has costs that do not depend on its size."""
    target_seconds: float
    """How long a call should take at most."""
    min_timeout: float
    max_timeout: float
    _size: float = 0.0
    _mean: float = 0.0
    """The smoothed latency; 0 before the first call."""
    _deviation: float = 0.0

    def __post_init__(self) -> None:
        self._size = self.max_size

    @property
    def size(self) -> int:
        """The most items that the next call should have."""
        return max(1, int(self._size))

    @property
    def expected_seconds(self) -> float:
        """A duration that a call rarely exceeds, at most `max_timeout`; 0 before the first call."""
        return min(self.max_timeout, self._mean + DEVIATIONS * self._deviation)

    @property
    def timeout(self) -> float:
        """How long the next call may take."""
        return max(self.min_timeout, self.expected_seconds)

    def succeeded(self, size: int, seconds: float) -> None:
        """Follow a call of *size* items that took *seconds*."""
        self._observe(seconds)
        if seconds > self.target_seconds:
            # At most halved: one slow call may have another cause than its size.
            slower = size * max(0.5, self.target_seconds / seconds)
            self._size = min(self._size, max(self.min_size, slower))
        elif 2 * size >= self._size:  # a small call does not show how long a large one takes
            self._size = min(self.max_size, 2 * self._size)

    def failed(self, size: int) -> None:
        """Follow a call of *size* items that failed: halve the size, to spare a service that recovers."""
        self._size = max(1.0, min(self._size, size / 2))

    def timed_out(self, size: int) -> None:
        """Follow a call of *size* items that took longer than `timeout`: allow more time for fewer items."""
        self._observe(2 * self.timeout)
        self.failed(size)

    def _observe(self, seconds: float) -> None:
        seconds = min(seconds, 2 * self.max_timeout)
        if self._mean:
            self._deviation += DEVIATION_GAIN * (abs(seconds - self._mean) - self._deviation)
            self._mean += GAIN * (seconds - self._mean)
        else:
            self._mean, self._deviation = seconds, seconds / 2
