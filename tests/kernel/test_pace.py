"""The size and the time-out of calls follow the latency of those before."""

from operator import methodcaller
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.kernel.pace import Pace

MAX: Final = 200
MIN: Final = 25
seconds = st.floats(0.001, 60)
calls = st.lists(
    st.one_of(st.tuples(st.just("succeeded"), seconds), st.tuples(st.just("failed")), st.tuples(st.just("timed_out"))),
    max_size=60,
)


def new_pace() -> Pace:
    return Pace(MAX, MIN, target_seconds=0.5, min_timeout=1.5, max_timeout=7.5)


def follow(pace: Pace, call: tuple[str] | tuple[str, float], *, size: int | None = None) -> None:
    name, *took = call
    methodcaller(name, pace.size if size is None else size, *took)(pace)


@given(calls, st.integers(1, MAX))
def test_size_and_time_out_stay_within_their_bounds(history: list[tuple[str]], size: int) -> None:
    pace = new_pace()
    for call in history:
        follow(pace, call, size=min(size, pace.size))
        assert 1 <= pace.size <= MAX
        assert pace.min_timeout <= pace.timeout <= pace.max_timeout
        assert 0 <= pace.expected_seconds <= pace.timeout


@given(calls)
def test_quick_calls_restore_size_and_time_out_after_any_history(history: list[tuple[str]]) -> None:
    pace = new_pace()
    for call in history:
        follow(pace, call)
    for _ in range(60):
        pace.succeeded(pace.size, 0.02)
    assert (pace.size, pace.timeout) == (MAX, 1.5)
    assert pace.expected_seconds < 0.1


@given(calls, st.floats(0.501, 60))
def test_a_slow_call_makes_no_call_larger_and_none_smaller_than_half_or_the_minimum(
    history: list[tuple[str]], slow: float
) -> None:
    pace = new_pace()
    for call in history:
        follow(pace, call)
    before = pace.size
    pace.succeeded(before, slow)
    assert min(before, MIN, before // 2) <= pace.size <= before


@given(calls)
def test_after_a_time_out_the_next_call_has_more_time_and_fewer_items(history: list[tuple[str]]) -> None:
    pace = new_pace()
    for call in history:
        follow(pace, call)
    size, timeout = pace.size, pace.timeout
    pace.timed_out(size)
    assert pace.timeout > timeout or pace.timeout == pace.max_timeout
    assert pace.size <= max(1, size // 2)


@pytest.mark.parametrize("steady", [0.02, 0.4, 2.0, 6.0])
def test_at_a_steady_latency_no_call_times_out(steady: float) -> None:
    """A service that always takes as long: at most the first calls are given up."""
    pace = new_pace()
    given_up = 0
    for _ in range(100):
        if steady <= pace.timeout:
            pace.succeeded(pace.size, steady)
        else:
            pace.timed_out(pace.size)
            given_up += 1
    assert given_up <= 2


def test_calls_that_grow_with_their_size_settle_near_the_target() -> None:
    pace = new_pace()
    for _ in range(50):
        pace.succeeded(pace.size, 0.05 + 0.01 * pace.size)
    took = 0.05 + 0.01 * pace.size
    assert 0.2 <= took <= 1.0


def test_a_small_call_says_nothing_about_a_large_one() -> None:
    pace = new_pace()
    pace.failed(100)
    pace.succeeded(1, 0.01)
    assert pace.size == 50
    pace.succeeded(25, 0.01)
    assert pace.size == 100


def test_failures_do_not_lengthen_the_time_out() -> None:
    pace = new_pace()
    for _ in range(20):
        pace.failed(pace.size)
    assert (pace.size, pace.timeout, pace.expected_seconds) == (1, 1.5, 0.0)
