"""Geometry of the large charts: SVG shapes in a box of 300 by 100; labels are HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Final

WIDTH: Final = 300
HEIGHT: Final = 100
STEPS: Final = 4
"""Grid lines above zero."""
LABELS: Final = 5
HIGHEST_LINES: Final = (1, 2, 4, 6, 8, 10)
"""Values of the highest grid line, times a power of ten, for which the other lines have short labels."""
UNITS: Final = ((120, 1, "seconds"), (7_200, 60, "minutes"), (259_200, 3_600, "hours"), (float("inf"), 86_400, "days"))
"""The longest duration in seconds, seconds per unit, and the unit."""
BAR_SHARE: Final = 0.65
"""The share of its slot that a bar fills."""


@dataclass(frozen=True, slots=True)
class Axis:
    """The scale of the grid lines."""

    top: float
    """The value of the highest grid line, in the unit of the values."""
    labels: list[str]
    """From the highest line down to zero."""
    unit: str

    def height(self, value: float) -> float:
        """Return the distance of *value* from the top."""
        return round(HEIGHT - HEIGHT * min(value, self.top) / self.top, 1)


@dataclass(frozen=True, slots=True)
class Rect:
    """A bar, or a part of one."""

    name: str
    x: float
    y: float
    width: float
    height: float


def duration_axis(values: Sequence[float | None]) -> Axis:
    """Return an axis for durations in seconds, in a unit that suits the longest."""
    peak = max((value for value in values if value is not None), default=0.0)
    size, unit = next((size, word) for limit, size, word in UNITS if peak < limit)
    return _axis(peak, size, unit)


def count_axis(values: Sequence[int], unit: str) -> Axis:
    """Return an axis for whole numbers, with whole grid lines."""
    return _axis(max([STEPS, *values]), 1, unit)


def line(values: Sequence[float | None], axis: Axis) -> str:
    """Draw *values* at equal steps; a missing one is a gap, an isolated one a dot."""
    step = WIDTH / max(1, len(values) - 1)
    path, drawn = "", False
    for index, value in enumerate(values):
        if value is not None:
            path += f"{'L' if drawn else 'M'}{index * step:.4g} {axis.height(value):g}"
            alone = not drawn and (index + 1 == len(values) or values[index + 1] is None)
            path += "h0" if alone else ""
        drawn = value is not None
    return path


def area(values: Sequence[float | None], axis: Axis) -> str:
    """Draw the area below a line."""
    step = WIDTH / max(1, len(values) - 1)
    path, start = "", None
    for index, value in enumerate([*values, None]):
        x = f"{index * step:.4g}"
        if value is not None:
            path += f"{'M' if start is None else 'L'}{x} {axis.height(value):g}"
            start = x if start is None else start
        elif start is not None:
            path += f"L{(index - 1) * step:.4g} {HEIGHT}L{start} {HEIGHT}Z"
            start = None
    return path


def bars(values: Sequence[int], axis: Axis, names: Sequence[str]) -> list[Rect]:
    """Draw one named bar for each value."""
    step = WIDTH / max(1, len(values))
    return [
        _rect(name, index * step, step, axis.height(0), axis.height(value))
        for index, (value, name) in enumerate(zip(values, names, strict=True))
    ]


def stacks(parts: Sequence[Mapping[str, int]], axis: Axis) -> list[list[Rect]]:
    """Draw one stacked bar for each mapping, the last name lowest."""
    step = WIDTH / max(1, len(parts))
    found = []
    for index, counts in enumerate(parts):
        stack, below = [], 0
        for name, count in reversed(list(counts.items())):
            if count:
                stack.append(_rect(name, index * step, step, axis.height(below), axis.height(below + count)))
            below += count
        found.append(stack)
    return found


def axis_labels(names: Sequence[str]) -> list[str]:
    """Return at most LABELS of *names*, evenly spaced, to label a chart's axis."""
    most = min(LABELS, len(names))
    return [names[round(number * (len(names) - 1) / max(1, most - 1))] for number in range(most)]


def moving_average(values: Sequence[tuple[float, int]], over: int) -> list[float | None]:
    """Return the moving average over *over* of *values* (sum and count); None where the count is 0."""
    found: list[float | None] = []
    for end in range(1, len(values) + 1):
        window = values[max(0, end - over) : end]
        count = sum(number for _, number in window)
        found.append(sum(total for total, _ in window) / count if count else None)
    return found


def _axis(peak: float, size: float, unit: str) -> Axis:
    shown = max(1.0, peak / size)
    power = 10.0 ** floor(log10(shown))
    top = next(factor * power for factor in HIGHEST_LINES if shown <= factor * power * (1 + 1e-9))
    if size == 1:
        top = STEPS * ceil(top / STEPS)
    return Axis(top * size, [f"{top * step / STEPS:g}" for step in range(STEPS, -1, -1)], unit)


def _rect(name: str, x: float, step: float, bottom: float, top: float) -> Rect:
    gap = step * (1 - BAR_SHARE) / 2
    return Rect(name, round(x + gap, 2), top, round(step * BAR_SHARE, 2), round(bottom - top, 1))
