"""Handoffs compared with a table of known results, and properties of all rotations."""

import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from typing import TypeAlias
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.oncall.strategies import INSTANTS, ROTATIONS, ZONES
from tocsin.oncall.domain.rotation import DAY, WEEK, Rotation, daily_anchor, first_instant, weekly_anchor

HOUR = timedelta(hours=1)
OracleRow: TypeAlias = tuple[str, str, timedelta, str, list[float]]


MINUTES = st.builds(time, st.integers(0, 23), st.integers(0, 59))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# (zone, anchor, period, handoffs in UTC, hours between them): the day and week rows of the table that defines handoffs.
# The first three agree with what GoAlert's own tests expect.
ORACLE = [
    ("America/Chicago", "2020-03-07T02:30", DAY,
     "2020-03-07T08:30 2020-03-08T08:00 2020-03-09T07:30 2020-03-10T07:30", [23.5, 23.5, 24]),
    ("America/Chicago", "2020-10-31T01:30", DAY,
     "2020-10-31T06:30 2020-11-01T06:30 2020-11-02T07:30 2020-11-03T07:30", [24, 25, 24]),
    ("Australia/Lord_Howe", "2020-10-03T02:15", DAY,
     "2020-10-02T15:45 2020-10-03T15:30 2020-10-04T15:15 2020-10-05T15:15", [23.75, 23.75, 24]),
    ("Australia/Lord_Howe", "2021-04-03T02:00", DAY, "2021-04-02T15:00 2021-04-03T15:30 2021-04-04T15:30", [24.5, 24]),
    ("Australia/Lord_Howe", "2021-04-03T02:30", DAY, "2021-04-02T15:30 2021-04-03T16:00 2021-04-04T16:00", [24.5, 24]),
    ("Europe/Berlin", "2026-03-23T09:00", WEEK, "2026-03-23T08:00 2026-03-30T07:00 2026-04-06T07:00", [167, 168]),
    ("Europe/Berlin", "2026-10-19T09:00", WEEK, "2026-10-19T07:00 2026-10-26T08:00", [169]),
    ("Africa/Cairo", "2026-04-23T00:00", DAY, "2026-04-22T22:00 2026-04-23T22:00 2026-04-24T21:00", [24, 23]),
    ("America/Santiago", "2026-09-05T00:00", DAY, "2026-09-05T04:00 2026-09-06T04:00 2026-09-07T03:00", [24, 23]),
    ("Pacific/Apia", "2011-12-29T09:00", DAY, "2011-12-29T19:00 2011-12-30T10:00 2011-12-30T19:00", [15, 9]),
    ("Asia/Kathmandu", "2026-06-01T09:00", DAY, "2026-06-01T03:15 2026-06-02T03:15 2026-06-03T03:15", [24, 24]),
]  # fmt: skip


@pytest.mark.parametrize("row", ORACLE, ids=lambda row: f"{row[0]} {row[1]}")
@pytest.mark.parametrize("shifts_back", [0, 53, 1_500], ids=lambda shifts: f"anchor {shifts} shifts earlier")
def test_handoffs_follow_the_oracle_table_however_far_back_the_anchor_lies(row: OracleRow, shifts_back: int) -> None:
    zone, anchor, period, handoffs, hours = row
    rotation = Rotation(ZoneInfo(zone), datetime.fromisoformat(anchor) - shifts_back * period, period)
    expected = [utc(text) for text in handoffs.split()]
    found = [rotation.handoff(shifts_back + shift) for shift in range(len(expected))]
    assert found == expected
    assert [(end - start) / HOUR for start, end in pairwise(found)] == hours


@given(rotation=ROTATIONS, shift=st.integers(-3000, 3000))
def test_a_shift_ends_where_the_next_one_begins_and_not_before_it_begins(rotation: Rotation, shift: int) -> None:
    starts_at, ends_at = rotation.handoff(shift), rotation.handoff(shift + 1)
    assert starts_at <= ends_at
    if starts_at == ends_at:  # the zone left out this very day
        zone = rotation.zone
        skipped = rotation.local_start(shift)
        assert first_instant(skipped, zone).astimezone(zone).date() > skipped.date()


@given(rotation=ROTATIONS, at=INSTANTS)
@example(Rotation(ZoneInfo("Pacific/Apia"), datetime(2011, 1, 1), DAY), utc("2011-12-30T10:00"))  # noqa: DTZ001
def test_every_instant_belongs_to_exactly_one_shift(rotation: Rotation, at: datetime) -> None:
    shift = rotation.shift_number_at(at)
    assert rotation.handoff(shift) <= at < rotation.handoff(shift + 1)


@given(rotation=ROTATIONS, shift=st.integers(-3000, 3000))
def test_the_second_before_a_handoff_belongs_to_the_shift_before(rotation: Rotation, shift: int) -> None:
    handoff = rotation.handoff(shift)
    now = rotation.shift_number_at(handoff)
    assert rotation.shift_number_at(handoff + timedelta(seconds=1)) == now
    before = rotation.shift_number_at(handoff - timedelta(seconds=1))
    assert before < now
    assert rotation.handoff(before) < handoff == rotation.handoff(before + 1)


@pytest.mark.slow
@given(rotation=ROTATIONS, since=INSTANTS, days=st.integers(1, 90))
def test_a_window_has_the_same_shifts_as_a_full_expansion(rotation: Rotation, since: datetime, days: int) -> None:
    until = since + timedelta(days=days)
    first = rotation.shift_number_at(since - timedelta(days=400))
    full = [
        shift
        for shift in range(first, first + 500)
        if rotation.handoff(shift) < rotation.handoff(shift + 1)
        and rotation.handoff(shift) < until
        and rotation.handoff(shift + 1) > since
    ]
    assert list(rotation.shift_numbers(since, until)) == full


@given(rotation=ROTATIONS, first=st.integers(-2000, 2000), people=st.integers(1, 7), rounds=st.integers(1, 20))
def test_shifts_are_distributed_fairly_and_in_order(rotation: Rotation, first: int, people: int, rounds: int) -> None:
    shifts = list(rotation.shift_numbers(rotation.handoff(first), rotation.handoff(first + people * rounds)))
    shares = Counter(shift % people for shift in shifts)
    left_out = people * rounds - len(shifts)
    assert max(shares.values()) - min(shares[person] for person in range(people)) <= max(left_out, 0)
    if not left_out:
        assert all((before + 1) % people == after % people for before, after in pairwise(shifts))


@given(rotation=ROTATIONS, shift=st.integers(-3000, 3000))
def test_a_handoff_has_the_local_time_of_the_anchor_except_in_a_gap(rotation: Rotation, shift: int) -> None:
    nominal = rotation.local_start(shift)
    shown = rotation.handoff(shift).astimezone(rotation.zone)
    if shown.replace(tzinfo=None) != nominal:
        # The clocks jumped over the nominal time: just before the handoff they showed less, at it they show more.
        just_before = (rotation.handoff(shift) - timedelta(seconds=1)).astimezone(rotation.zone).replace(tzinfo=None)
        assert just_before < nominal < shown.replace(tzinfo=None)
    else:
        assert shown.fold == 0
        assert (shown.hour, shown.minute) == (rotation.anchor.hour, rotation.anchor.minute)


@given(created_at=INSTANTS, zone=ZONES, handoff=MINUTES, weekday=st.integers(0, 6), week=st.integers(1, 52))
def test_in_the_year_of_creation_the_number_of_a_weekly_shift_is_its_iso_week(
    created_at: datetime, zone: ZoneInfo, handoff: time, weekday: int, week: int
) -> None:
    rotation = Rotation(zone, weekly_anchor(created_at, zone, weekday, handoff), WEEK)
    begins = rotation.local_start(week)
    assert begins.isocalendar() == (created_at.astimezone(zone).isocalendar().year, week, weekday + 1)
    assert begins.time() == handoff


@given(created_at=INSTANTS, zone=ZONES, handoff=MINUTES, day=st.integers(1, 365))
def test_in_the_year_of_creation_the_number_of_a_daily_shift_is_its_day_of_the_year(
    created_at: datetime, zone: ZoneInfo, handoff: time, day: int
) -> None:
    begins = Rotation(zone, daily_anchor(created_at, zone, handoff), DAY).local_start(day)
    assert (begins.year, begins.timetuple().tm_yday) == (created_at.astimezone(zone).year, day)
    assert begins.time() == handoff


@given(created_at=INSTANTS, at=INSTANTS, people=st.integers(1, 9))
def test_without_a_handoff_time_the_index_is_week_or_day_modulo_people(
    created_at: datetime, at: datetime, people: int
) -> None:
    zone = ZoneInfo("UTC")
    weekly = Rotation(zone, weekly_anchor(created_at, zone, 0, time(0)), WEEK)
    daily = Rotation(zone, daily_anchor(created_at, zone, time(0)), DAY)
    if at.isocalendar().year == created_at.isocalendar().year:
        assert weekly.shift_number_at(at) % people == at.isocalendar().week % people
    if at.year == created_at.year:
        assert daily.shift_number_at(at) % people == at.timetuple().tm_yday % people


@pytest.mark.parametrize("created_at", ["2026-12-31T23:59", "2027-01-01T12:00", "2027-01-03T23:59"])
def test_a_rotation_created_in_iso_week_53_in_january_continues_in_the_next_year(created_at: str) -> None:
    rotation = Rotation(ZoneInfo("UTC"), weekly_anchor(utc(created_at), ZoneInfo("UTC"), 0, time(0)), WEEK)
    assert rotation.shift_number_at(utc(created_at)) == 53
    assert rotation.shift_number_at(utc("2027-01-04T00:00")) == 54, "nobody is repeated or skipped at new year"


TRANSCRIPT = """
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo
from tocsin.oncall.domain.rotation import DAY, WEEK, Rotation, daily_anchor, weekly_anchor
created_at = datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
for name in ("America/Chicago", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Kathmandu"):
    zone = ZoneInfo(name)
    for rotation in (
        Rotation(zone, weekly_anchor(created_at, zone, 2, time(2, 30)), WEEK),
        Rotation(zone, daily_anchor(created_at, zone, time(2, 30)), DAY),
    ):
        handoffs = (rotation.handoff(shift).isoformat() for shift in range(0, 400, 7))
        print(rotation.shift_number_at(created_at), *handoffs)
"""


def test_the_time_zone_of_the_server_has_no_effect() -> None:
    transcripts = {
        subprocess.run(  # noqa: S603 - this interpreter, with a fixed program
            [sys.executable, "-c", TRANSCRIPT],
            env={**os.environ, "TZ": zone},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for zone in ("UTC", "America/St_Johns", "Asia/Kathmandu")
    }
    assert len(transcripts) == 1
    assert "2026" in transcripts.pop()
