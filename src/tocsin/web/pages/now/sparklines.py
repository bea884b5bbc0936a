"""Geometry of the small charts: SVG path data and bars."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

WIDTH: Final = 120
HEIGHT: Final = 40
TOP: Final = 4
BARS: Final = 36
BAR_HEIGHT: Final = 48
HOT: Final = 6
WARM: Final = 3
"""Multiples of the mean from which a bar is highlighted."""


@dataclass(frozen=True, slots=True)
class Sparkline:
    """A line over equal steps of time, in a box of 120 by 40."""

    line: str
    area: str


@dataclass(frozen=True, slots=True)
class PulseBar:
    """One bar of the pulse, in a box of 180 by 48."""

    x: int
    y: int
    height: int
    heat: str
    """`hot` and `warm` are highlighted; empty is not."""


def sparkline(values: Sequence[float | None]) -> Sparkline | None:
    """Draw *values* from zero up, bridging gaps; None if there are fewer than two."""
    known = [(index, value) for index, value in enumerate(values) if value is not None]
    if len(known) < 2:  # noqa: PLR2004 - a line has two ends
        return None
    peak = max(value for _, value in known) or 1.0
    step = WIDTH / (len(values) - 1)
    points = [(round(index * step, 1), round(HEIGHT - (HEIGHT - TOP) * value / peak, 1)) for index, value in known]
    line = "M" + "L".join(f"{x:g} {y:g}" for x, y in points)
    return Sparkline(line, f"{line}L{points[-1][0]:g} {HEIGHT}L{points[0][0]:g} {HEIGHT}Z")


def pulse(instants: Sequence[datetime], start: datetime, end: datetime) -> list[PulseBar]:
    """Count *instants* between *start* and *end* into 36 bars; the highest fills the box."""
    counts = [0] * BARS
    span = (end - start).total_seconds() or 1.0
    for at in instants:
        share = (at - start).total_seconds() / span
        if 0 <= share <= 1:
            counts[min(int(share * BARS), BARS - 1)] += 1
    peak = max(counts) or 1
    heights = [max(2, round((BAR_HEIGHT - 2) * number / peak)) for number in counts]
    mean = sum(counts) / BARS
    return [
        PulseBar(index * 5, BAR_HEIGHT - height, height, _heat(number, mean))
        for index, (number, height) in enumerate(zip(counts, heights, strict=True))
    ]


def _heat(number: int, mean: float) -> str:
    if number < HOT:  # a few alerts are no peak, however low the mean
        return ""
    return "hot" if number >= HOT * mean else "warm" if number >= WARM * mean else ""
