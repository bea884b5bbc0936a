from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.web.pages.now import sparklines
from tocsin.web.ui import format as fmt

DURATIONS = [
    (-5, "0:00", "0 s"),
    (0, "0:00", "0 s"),
    (59.9, "0:59", "59 s"),
    (60, "1:00", "1 min"),
    (108, "1:48", "1 min"),
    (1_560, "26:00", "26 min"),
    (3_599, "59:59", "59 min"),
    (3_600, "1 h 00", "1 h 00"),
    (10_920, "3 h 02", "3 h 02"),
    (86_399, "23 h 59", "23 h 59"),
    (100_800, "1 d 4 h", "1 d 4 h"),
]


@pytest.mark.parametrize(("seconds", "timer", "duration"), DURATIONS)
def test_durations_are_formatted_as_timers_and_as_text(seconds: float, timer: str, duration: str) -> None:
    assert fmt.timer(seconds) == timer
    assert fmt.duration(seconds) == duration


@pytest.mark.parametrize(
    ("seconds", "figure"),
    [
        (0.4, ("0", "s")),
        (59.6, ("1:00", "min")),
        (126, ("2:06", "min")),
        (2_460, ("41", "min")),
        (10_920, ("3 h 02", "")),
    ],
)
def test_a_mean_is_split_into_a_figure_and_its_unit(seconds: float, figure: tuple[str, str]) -> None:
    assert fmt.figure(seconds) == figure


@given(st.floats(min_value=0, max_value=86_400 * 999))
def test_every_mean_under_a_thousand_days_has_a_figure_of_at_most_ten_characters(seconds: float) -> None:
    number, _unit = fmt.figure(seconds)
    assert 0 < len(number) <= 10


def test_instants_say_that_they_are_in_utc() -> None:
    at = datetime(2026, 10, 22, 1, 12, 20, 123_456, tzinfo=UTC)
    assert fmt.iso(at) == "2026-10-22T01:12:20.123Z"
    assert fmt.clock(at) == "01:12:20 UTC"
    assert fmt.minute(at) == "01:12 UTC"
    assert fmt.weekday(at) == "Thu 01:12 UTC"
    assert fmt.full(at) == "Thu 22 Oct 2026, 01:12:20 UTC"


@pytest.mark.parametrize("year", [1, 9999])
def test_instants_at_both_ends_of_the_calendar_can_be_written(year: int) -> None:
    at = datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert f"{year:04}" in fmt.full(at)
    assert fmt.iso(at).startswith(f"{year:04}-")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Priya Raman", "PR"),
        ("dele", "D"),
        ("Anna Maria von Berg", "AB"),
        ("(ops) Zed", "Z"),
        (" ", "?"),
        ("Ωmega", "Ω"),
    ],
)
def test_initials_are_those_of_the_first_and_the_last_name(name: str, expected: str) -> None:
    assert fmt.initials(name) == expected


@given(st.text(min_size=1))
def test_every_name_has_initials_and_one_of_six_tints(name: str) -> None:
    assert fmt.initials(name)
    assert fmt.tint(name) in range(1, 7)
    assert fmt.tint(name) == fmt.tint(name)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], ""),
        (["Ann"], "Ann"),
        (["Ann", "Bo"], "Ann and Bo"),
        (["Ann", "Bo", "Cy"], "Ann, Bo and Cy"),
        (["Ann", "Bo", "Cy", "Di"], "Ann, Bo, Cy and 1 more"),
    ],
)
def test_names_are_joined_with_commas_and_and(names: list[str], expected: str) -> None:
    assert fmt.listed(names) == expected


def test_counts_carry_their_noun() -> None:
    assert fmt.count(1, "alert") == "1 alert"
    assert fmt.count(1_204, "alert") == "1,204 alerts"


@given(st.text(), st.integers(min_value=1, max_value=50))
def test_a_truncated_text_is_no_longer_than_the_limit(text: str, most: int) -> None:
    assert len(fmt.cut(text, most)) <= most
    assert fmt.cut(text, max(most, len(text))) == text


def test_a_spark_bridges_days_without_a_value_and_stays_in_its_box() -> None:
    drawn = sparklines.sparkline([0.0, None, 10.0, 5.0])
    assert drawn is not None
    assert drawn.line == "M0 40L80 4L120 22"
    assert drawn.area == "M0 40L80 4L120 22L120 40L0 40Z"


@pytest.mark.parametrize("values", [[], [None, None], [None, 3.0, None]])
def test_fewer_than_two_values_make_no_line(values: list[float | None]) -> None:
    assert sparklines.sparkline(values) is None


@given(st.lists(st.integers(min_value=-20, max_value=200)))
def test_the_pulse_counts_what_lies_in_its_window_and_stays_in_its_box(minutes: list[int]) -> None:
    start = datetime(2026, 10, 22, tzinfo=UTC)
    bars = sparklines.pulse(
        [start + timedelta(minutes=minute) for minute in minutes], start, start + timedelta(hours=3)
    )
    assert len(bars) == sparklines.BARS
    assert all(2 <= bar.height <= 46 and bar.y + bar.height == sparklines.BAR_HEIGHT for bar in bars)
    assert any(bar.height == 46 for bar in bars) == any(0 <= minute <= 180 for minute in minutes)


def test_a_burst_stands_out_and_a_handful_does_not() -> None:
    start = datetime(2026, 10, 22, tzinfo=UTC)
    end = start + timedelta(hours=3)
    handful = sparklines.pulse([end] * 5, start, end)
    burst = sparklines.pulse([end] * 60 + [start] * 6, start, end)
    assert {bar.heat for bar in handful} == {""}
    assert (burst[-1].heat, burst[0].heat) == ("hot", "warm")


@pytest.mark.parametrize(
    ("text", "linked"),
    [
        ("https://runbooks.example/a?b=1&c=2#d", True),
        ("http://x", True),
        ("https://", False),
        ("see https://x.example", False),
        ("https://x.example and more", False),
        ("javascript:alert(1)", False),
        ("https://x/" + 2_048 * "a", False),
    ],
)
def test_only_an_http_address_of_bounded_length_is_linked(text: str, *, linked: bool) -> None:
    assert fmt.is_address(text) is linked


@pytest.mark.parametrize(
    ("seconds", "words", "clock"),
    [(0, "under 1 s", "under 1 s"), (0.9, "under 1 s", "under 1 s"), (1, "1 s", "0:01"), (65, "1 min", "1:05")],
)
def test_a_duration_that_is_over_is_never_zero(seconds: float, words: str, clock: str) -> None:
    assert fmt.took(seconds) == words
    assert fmt.took(seconds, clock=True) == clock
