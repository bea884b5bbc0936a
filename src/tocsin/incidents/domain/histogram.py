"""How durations are counted so that the counts of days add up to those of a year, and still have a median.

Each power of two of a minute is cut into 16 bins of one width, from 60 / 64 seconds to 705 days. A quantile read from
them is made of durations that lie in the bins of the true ones, and a bin is at most a sixteenth of its lower edge
wide: it is off by less than 6.25 % (by less than a second below one; what is longer than 705 days counts as 705 days).
Whole figures that people set as limits are edges (1, 2, 3, 5, 10, 15, 30 minutes, 1, 4, 8 hours), so that what is
counted between two of them is exact.

A histogram is stored as one decimal number, eight digits a bin, so that the database's `sum` merges histograms.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import ceil, floor
from typing import Final, Self

BINS_PER_OCTAVE: Final = 16
OCTAVES: Final = range(-6, 20)
EDGES: Final = tuple(
    60.0 * 2.0**octave * (1 + part / BINS_PER_OCTAVE) for octave in OCTAVES for part in range(BINS_PER_OCTAVE)
)
"""Seconds. Bin 0 is below the first edge, bin n from edge n - 1 on; the last bin has no end."""
MOST_WIDE: Final = 1 / BINS_PER_OCTAVE
"""How far a quantile may be off, as a share of the true one, from the first edge to the last."""
DIGITS: Final = 8
"""Of each bin: a hundred million incidents of one duration are one too many."""
EMPTY: Final = "0" * DIGITS


class Histogram:
    """How many durations fell into each bin."""

    def __init__(self, counts: Mapping[int, int]) -> None:
        self._counts: Final = dict(sorted(counts.items()))
        self.total: Final = sum(counts.values())

    @classmethod
    def parse(cls, stored: str) -> Self:
        """Read the number that the database has."""
        digits = stored.zfill(-(-len(stored) // DIGITS) * DIGITS)
        chunks = (digits[end - DIGITS : end] for end in range(len(digits), 0, -DIGITS))
        return cls({index: int(chunk) for index, chunk in enumerate(chunks) if chunk != EMPTY})

    def __add__(self, other: Self) -> Self:
        """Merge two histograms."""
        counts = dict(self._counts)
        for index, count in other._counts.items():
            counts[index] = counts.get(index, 0) + count
        return type(self)(counts)

    def quantile(self, share: float) -> float | None:
        """Return the duration in seconds that *share* (0 to 1) of all do not exceed; None where there are none.

        Between two of them it is interpolated, as PostgreSQL's `percentile_cont` does.
        """
        if not self.total:
            return None
        rank = share * (self.total - 1)
        lower = self._nth(floor(rank))
        return lower + (self._nth(ceil(rank)) - lower) * (rank - floor(rank))

    def _nth(self, number: int) -> float:
        """Return the duration, shortest first, that would be there if those of a bin lay evenly in it."""
        below = 0
        for index, count in self._counts.items():
            if number < below + count:
                lower, upper = _bounds(index)
                return lower + (upper - lower) * (number - below + 0.5) / count
            below += count
        return EDGES[-1]

    def between(self, limits: Sequence[float]) -> list[int]:
        """Count what is below the first of *limits*, between each two, and from the last on. Each must be an edge."""
        places = [0, *(EDGES.index(limit) + 1 for limit in limits), len(EDGES) + 1]
        return [
            sum(count for index, count in self._counts.items() if begin <= index < end)
            for begin, end in pairwise(places)
        ]


def _bounds(index: int) -> tuple[float, float]:
    return EDGES[index - 1] if index else 0.0, EDGES[min(index, len(EDGES) - 1)]
