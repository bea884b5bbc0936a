"""The picture of a schedule: two weeks in per cent of their true hours."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tocsin.contracts.oncall import PersonOnCall, Shift
from tocsin.web.pages.oncall.schedule_chart import ScheduleChart, chart_of, midnight

BERLIN = ZoneInfo("Europe/Berlin")


def person(name: str | None) -> PersonOnCall | None:
    return PersonOnCall(name=name, email="somebody@example.org") if name else None


def shift(start: datetime, end: datetime, primary: str | None, secondary: str | None = None) -> Shift:
    return Shift(team="Payments", primary=person(primary), secondary=person(secondary), starts_at=start, ends_at=end)


def weeks(first: date, zone: ZoneInfo, *primaries: str | None) -> list[Shift]:
    """Weekly turns from 09:00 of the Monday before *first* on."""
    starts = [
        datetime.combine(first + timedelta(weeks=number - 1), datetime.min.time(), tzinfo=zone).replace(hour=9)
        for number in range(len(primaries) + 1)
    ]
    instants = [start.astimezone(UTC) for start in starts]
    return [shift(start, end, name) for start, end, name in zip(instants, instants[1:], primaries, strict=False)]


def october(*primaries: str | None) -> ScheduleChart:
    """The two weeks in which the clocks of Berlin go back."""
    first = date(2026, 10, 19)
    now = datetime(2026, 10, 22, 1, 14, tzinfo=UTC)
    return chart_of(weeks(first, BERLIN, *primaries), BERLIN, first, now)


def test_a_day_of_25_hours_is_wider_and_the_days_fill_the_chart() -> None:
    days = october("Tomas", "Priya", "Yusuf").days
    assert [day.hours for day in days] == [24] * 6 + [25] + [24] * 7
    assert days[6].width == pytest.approx(days[5].width * 25 / 24, abs=0.01)
    assert sum(day.width for day in days) == pytest.approx(100, abs=0.02)
    assert [day.label for day in days if day.today] == ["Thu 22"]
    assert [day.label for day in days if day.weekend] == ["Sat 24", "Sun 25", "Sat 31", "Sun 1"]


def test_bars_have_the_hours_of_the_whole_turn() -> None:
    before, priya, yusuf = october("Tomas", "Priya", "Yusuf").lanes[0].bars
    assert (before.x, before.label) == (0, "")
    assert (priya.label, priya.detail, priya.hours) == ("Priya", "169 h, until Mon 09:00", 169)
    assert (yusuf.label, yusuf.detail) == ("Yusuf", "from Mon 09:00, 168 h")
    assert yusuf.x + yusuf.width == pytest.approx(100, abs=0.01)


def test_consecutive_shifts_are_one_bar_and_nobody_is_a_gap() -> None:
    (alone,) = october("Ada", "Ada", "Ada").lanes[0].bars
    assert (alone.x, alone.width, alone.detail) == (0, 100, "505 h")
    bars = october("Ada", None, "Ada").lanes[0].bars
    assert [bar.person for bar in bars] == ["Ada", None, "Ada"]
    assert bars[1].label == "Nobody"


@pytest.mark.parametrize(
    ("zone", "first", "before", "after", "hours"),
    [
        ("Europe/Berlin", date(2026, 10, 19), "03:00", "02:00", 25),
        ("Europe/Berlin", date(2026, 3, 23), "02:00", "03:00", 23),
        ("Australia/Lord_Howe", date(2026, 3, 30), "02:00", "01:30", 24.5),
        ("America/Santiago", date(2026, 8, 31), "00:00", "01:00", 23),
    ],
)
def test_a_clock_change_is_located_to_the_minute(zone: str, first: date, before: str, after: str, hours: float) -> None:
    there = ZoneInfo(zone)
    picture = chart_of(weeks(first, there, "A", "B", "C"), there, first, midnight(first, there))
    (change,) = picture.changes
    assert (f"{change.before:%H:%M}", f"{change.after:%H:%M}", change.hours) == (before, after, hours)
    assert change.back == (hours > 24)
    assert change.at.astimezone(there).replace(tzinfo=None) == change.after
    assert [day.date for day in picture.days if day.hours != 24] == [change.day]


def test_now_is_not_on_the_chart_of_other_weeks() -> None:
    first = date(2026, 10, 19)
    assert october("A", "B", "C").now_x == pytest.approx(22.3, abs=0.1)
    assert chart_of([], BERLIN, first, datetime(2026, 11, 2, tzinfo=UTC)).now_x is None
    assert chart_of([], BERLIN, first, datetime(2026, 10, 18, 21, 59, tzinfo=UTC)).now_x is None
