import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.web.ui import charts
from tocsin.web.ui.tables import Cell, Column, Table

seconds = st.floats(min_value=0, max_value=1e7)
NUMBER = re.compile(r"[ML]([\d.e+-]+) ([\d.e+-]+)")


@given(st.lists(st.none() | seconds, min_size=1, max_size=60))
def test_every_point_is_inside_the_box_and_unmeasured_periods_have_none(values: list[float | None]) -> None:
    axis = charts.duration_axis(values)
    points = [(float(x), float(y)) for x, y in NUMBER.findall(charts.line(values, axis))]
    assert len(points) == sum(value is not None for value in values)
    assert all(0 <= x <= charts.WIDTH and 0 <= y <= charts.HEIGHT for x, y in points)
    gaps = sum(value is not None and (not index or values[index - 1] is None) for index, value in enumerate(values))
    assert charts.line(values, axis).count("M") == charts.area(values, axis).count("Z") == gaps


@given(st.lists(seconds, min_size=1, max_size=60))
def test_an_axis_reaches_just_above_the_longest_and_has_short_labels(values: list[float]) -> None:
    axis = charts.duration_axis(values)
    assert max(values) <= axis.top * (1 + 1e-6)
    assert axis.labels[-1] == "0"
    assert len(axis.labels) == 5
    assert all(len(label) <= 5 for label in axis.labels)


@pytest.mark.parametrize(
    ("longest", "unit", "highest"),
    [(90, "seconds", "100"), (180, "minutes", "4"), (7_200, "hours", "2"), (600_000, "days", "8")],
)
def test_an_axis_has_the_unit_that_suits(longest: float, unit: str, highest: str) -> None:
    axis = charts.duration_axis([longest, None])
    assert (axis.unit, axis.labels[0]) == (unit, highest)


@given(st.lists(st.tuples(*[st.integers(0, 500)] * 4), min_size=1, max_size=60))
def test_the_parts_of_a_stacked_bar_are_adjacent_and_as_high_as_their_sum(counts: list[tuple[int, ...]]) -> None:
    axis = charts.count_axis([sum(each) for each in counts], "incidents")
    assert all("." not in label for label in axis.labels)
    for each, stack in zip(
        counts, charts.stacks([dict(zip("abcd", each, strict=True)) for each in counts], axis), strict=True
    ):
        assert len(stack) == sum(count > 0 for count in each)
        height = charts.HEIGHT * sum(each) / axis.top
        assert sum(part.height for part in stack) == pytest.approx(height, abs=0.5)


def test_a_moving_average_is_that_of_everything_in_its_window() -> None:
    values = [(10.0, 1), (0.0, 0), (50.0, 4), (4.0, 1)]
    assert charts.moving_average(values, 2) == [10.0, 10.0, 12.5, pytest.approx(54 / 5)]
    assert charts.moving_average([(0.0, 0)], 4) == [None]


def test_labels_are_few_and_have_the_first_and_the_last() -> None:
    names = [str(number) for number in range(52)]
    assert charts.axis_labels(names) == ["0", "13", "26", "38", "51"]
    assert charts.axis_labels(names[:1]) == ["0"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_text_in_a_file_is_a_formula_and_no_number_is_changed(start: str) -> None:
    table = Table(
        "t", [Column("Name", "name"), Column("Change", "change")], [[Cell.plain(f"{start}1"), Cell("x", -1.5)]]
    )
    assert f"'{start}1" in table.as_csv()
    assert table.as_csv().rstrip().endswith(",-1.5")
