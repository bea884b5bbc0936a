"""Mergeable histograms of durations: daily ones add up to that of a year, and quantiles can be estimated.

Each power of two of a minute is divided into 16 bins of equal width, from 60 / 64 seconds to 705 days. The width of a
bin is at most a sixteenth of its lower edge, so that the error of a quantile is less than 6.25 %. (Below one second it
is less than a second; a longer duration counts as 705 days.) The usual limits are bin edges (1, 2, 3, 5, 10, 15, 30
minutes, 1, 4, 8 hours), so that counts between two of them are exact.

A histogram is stored as one decimal number with eight digits per bin, so that SQL's `sum` merges histograms.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import ceil, floor
from typing import Final, Self

BINS_PER_OCTAVE: Final = 16
OCTAVES: Final = range(-6, 20)
EDGES: Final = tuple(
    60.0 * 2.0**octave * (1 + part / BINS_PER_OCTAVE) for octave in OCTAVES for part in range(BINS_PER_OCTAVE)
)
"""Seconds. Bin 0 is below the first edge, bin n starts at edge n - 1; the last bin is unbounded."""
MAX_RELATIVE_ERROR: Final = 1 / BINS_PER_OCTAVE
"""The maximum relative error of a quantile that lies between the first edge and the last."""
DIGITS: Final = 8
"""Decimal digits per bin, which overflows at a hundred million incidents."""
NONZERO: Final = re.compile("[1-9]")


class Histogram:
    """The number of durations in each bin."""

    def __init__(self, counts: Mapping[int, int]) -> None:
        self._counts: Final = dict(sorted(counts.items()))
        self.total: Final = sum(counts.values())

    @classmethod
    def parse(cls, stored: str) -> Self:
        """Parse the stored number."""
        digits = stored.zfill(-(-len(stored) // DIGITS) * DIGITS)
        last = len(digits) // DIGITS - 1
        counts: dict[int, int] = {}
        found = NONZERO.search(digits)
        while found is not None:  # most bins are empty: they are skipped, not parsed
            bin_from_left = found.start() // DIGITS
            end = (bin_from_left + 1) * DIGITS
            counts[last - bin_from_left] = int(digits[end - DIGITS : end])
            found = NONZERO.search(digits, end)
        return cls(counts)

    def __add__(self, other: Self) -> Self:
        """Merge two histograms."""
        counts = dict(self._counts)
        for index, count in other._counts.items():
            counts[index] = counts.get(index, 0) + count
        return type(self)(counts)

    def quantile(self, share: float) -> float | None:
        """Return the quantile *share* (0 to 1) in seconds, or None for an empty histogram.

        It interpolates between two durations, as PostgreSQL's `percentile_cont` does.
        """
        if not self.total:
            return None
        rank = share * (self.total - 1)
        lower = self._nth(floor(rank))
        return lower + (self._nth(ceil(rank)) - lower) * (rank - floor(rank))

    def _nth(self, number: int) -> float:
        """Estimate the nth shortest duration, assuming that durations are spread evenly within a bin."""
        below = 0
        for index, count in self._counts.items():
            if number < below + count:
                lower, upper = _bounds(index)
                return lower + (upper - lower) * (number - below + 0.5) / count
            below += count
        return EDGES[-1]

    def between(self, limits: Sequence[float]) -> list[int]:
        """Count the durations below the first of *limits*, between them, and from the last on. All must be edges."""
        indexes = [0, *(EDGES.index(limit) + 1 for limit in limits), len(EDGES) + 1]
        return [
            sum(count for index, count in self._counts.items() if begin <= index < end)
            for begin, end in pairwise(indexes)
        ]


def _bounds(index: int) -> tuple[float, float]:
    return EDGES[index - 1] if index else 0.0, EDGES[min(index, len(EDGES) - 1)]
