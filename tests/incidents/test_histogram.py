from itertools import pairwise
from math import ceil, floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.incidents.domain.histogram import DIGITS, EDGES, MAX_RELATIVE_ERROR, Histogram

SHORTEST, LONGEST = EDGES[0], EDGES[-1]
durations = st.floats(min_value=0, max_value=LONGEST, exclude_max=True)
some = st.lists(durations, min_size=1, max_size=60)


def bin_of(seconds: float) -> int:
    return sum(edge <= seconds for edge in EDGES)


def stored(seconds: list[float]) -> str:
    """Return the number that the database adds up."""
    return str(sum(10 ** (DIGITS * bin_of(item)) for item in seconds))


def continuous(seconds: list[float], share: float) -> float:
    """Return PostgreSQL's percentile_cont."""
    ordered = sorted(seconds)
    rank = share * (len(ordered) - 1)
    lower, upper = ordered[floor(rank)], ordered[ceil(rank)]
    return lower + (upper - lower) * (rank - floor(rank))


def test_edges_rise_by_at_most_a_sixteenth_and_contain_the_limits_that_people_set() -> None:
    assert all(lower < upper <= lower * (1 + MAX_RELATIVE_ERROR) for lower, upper in pairwise(EDGES))
    minutes = (1, 2, 3, 5, 10, 15, 30, 60, 4 * 60, 8 * 60)
    assert set(minutes) <= {edge / 60 for edge in EDGES}


@given(some, st.floats(min_value=0, max_value=1))
def test_a_quantile_is_off_by_less_than_the_width_of_a_bin(seconds: list[float], share: float) -> None:
    truth = continuous(seconds, share)
    found = Histogram.parse(stored(seconds)).quantile(share)
    assert found is not None
    assert abs(found - truth) <= truth * MAX_RELATIVE_ERROR + SHORTEST


@pytest.mark.slow
@given(st.lists(some, min_size=1, max_size=5), st.floats(min_value=0, max_value=1))
def test_the_sum_of_parts_equals_the_whole(parts: list[list[float]], share: float) -> None:
    whole = Histogram.parse(stored([item for part in parts for item in part]))
    by_the_database = Histogram.parse(str(sum(int(stored(part)) for part in parts)))
    assert whole.total == by_the_database.total == sum(map(len, parts))
    assert whole.quantile(share) == by_the_database.quantile(share)


@given(st.lists(durations, max_size=60))
def test_durations_between_two_edges_are_counted_exactly(seconds: list[float]) -> None:
    limits = (60.0, 300.0, 3600.0)
    expected = [sum(begin <= item < end for item in seconds) for begin, end in pairwise((0.0, *limits, float("inf")))]
    assert Histogram.parse(stored(seconds)).between(limits) == expected


def test_an_empty_histogram_has_no_quantile() -> None:
    empty = Histogram.parse("0")
    assert (empty.total, empty.quantile(0.5), empty.between((60.0,))) == (0, None, [0, 0])


def test_a_duration_beyond_the_last_edge_counts_as_the_last_edge() -> None:
    found = Histogram.parse(stored([LONGEST, LONGEST * 7]))
    assert found.total == 2
    assert found.quantile(1.0) == LONGEST


def test_limits_that_are_not_edges_are_refused() -> None:
    with pytest.raises(ValueError, match="not in tuple"):
        Histogram.parse("0").between((61.0,))
