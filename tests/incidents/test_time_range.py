from datetime import date, timedelta

from hypothesis import assume, given
from hypothesis import strategies as st

from tocsin.contracts.overview import Grain
from tocsin.incidents.domain.time_range import CalendarRange

days = st.dates(max_value=date(2, 1, 1)) | st.dates(date(2019, 1, 1), date(2030, 1, 1)) | st.dates(date(9998, 1, 1))


@given(days, st.integers(1, 366))
def test_a_range_is_its_whole_weeks_and_the_days_around_them(since: date, length: int) -> None:
    until = since + min(timedelta(days=length), date.max - since)
    assume(since < until)
    length = (until - since).days
    first, last = CalendarRange(since, since, until, Grain.DAY).whole_weeks
    assert since <= first <= last <= until
    if first == last:
        assert first == until, "every day is one around the weeks"
        assert length < 13, "there is no whole week"
    else:
        assert first.weekday() == last.weekday() == 0
        assert first - since < timedelta(days=7)
        assert until - last < timedelta(days=7)
