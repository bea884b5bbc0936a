"""On-call schedules: who is on call at an instant."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from tocsin.contracts.escalations import Level
from tocsin.contracts.oncall import Member, Role, RotationType, ScheduleIn, Weekday
from tocsin.oncall.domain.rotation import DAY, WEEK, Rotation, daily_anchor, weekly_anchor

PERIODS: Final = {RotationType.WEEKLY: WEEK, RotationType.DAILY: DAY}


@dataclass(frozen=True, slots=True)
class ScheduledShift:
    """A shift of a team: who is on call between two instants in UTC."""

    primary: Member | None
    secondary: Member | None
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class StoredSchedule:
    """A team's schedule as stored."""

    id: UUID
    team: str
    rotation_type: RotationType
    members: tuple[Member, ...]
    services: tuple[str, ...]
    zone: ZoneInfo
    anchor: datetime
    created_at: datetime
    version: int

    @property
    def rotation(self) -> Rotation:
        """The rotation that primaries and, independently, secondaries follow."""
        return Rotation(self.zone, self.anchor, PERIODS[self.rotation_type])

    def member_on_call(self, role: Role, number: int) -> Member | None:
        """Return the member with *role* in shift *number*; None if no member has that role."""
        members = [member for member in self.members if member.role is role]
        return members[number % len(members)] if members else None

    def shift(self, number: int) -> ScheduledShift:
        """Return shift *number*, which may be negative."""
        rotation = self.rotation
        return ScheduledShift(
            primary=self.member_on_call(Role.PRIMARY, number),
            secondary=self.member_on_call(Role.SECONDARY, number),
            starts_at=rotation.handoff(number),
            ends_at=rotation.handoff(number + 1),
        )

    def shift_at(self, at: datetime) -> ScheduledShift:
        """Return the shift that contains *at*."""
        return self.shift(self.rotation.shift_number_at(at))

    def shifts(self, since: datetime, until: datetime) -> Iterator[ScheduledShift]:
        """Yield the shifts that overlap [since, until), unclipped."""
        return map(self.shift, self.rotation.shift_numbers(since, until))

    def describe_shift_at(self, at: datetime) -> str:
        """Name the shift that contains *at* by the ISO week, or the day of the year, in which it begins."""
        rotation = self.rotation
        begins = rotation.local_start(rotation.shift_number_at(at))
        if self.rotation_type is RotationType.WEEKLY:
            return f"weekly rotation, week {begins.isocalendar().week}"
        return f"daily rotation, day {begins.timetuple().tm_yday}"

    def members_at(self, level: Level, at: datetime) -> tuple[Member, ...]:
        """Return the members whom *level* pages at an instant; empty if there are none."""
        if level is Level.EVERYONE:
            return self.members
        shift = self.shift_at(at)
        member = shift.primary if level is Level.PRIMARY else shift.secondary
        return (member,) if member else ()


def anchor_of(given: ScheduleIn, created_at: datetime) -> datetime:
    """Return the naive local time at which a shift of the first member begins."""
    if given.start is not None:
        return datetime.combine(given.start, given.handoff_time)
    zone = ZoneInfo(given.time_zone)
    if given.rotation_type is RotationType.DAILY:
        return daily_anchor(created_at, zone, given.handoff_time)
    weekday = list(Weekday).index(given.handoff_weekday or Weekday.MONDAY)
    return weekly_anchor(created_at, zone, weekday, given.handoff_time)


def handoff_of(anchor: datetime, rotation_type: RotationType) -> tuple[time, Weekday | None]:
    """Return the local time of the handoffs and, for a weekly rotation, their weekday."""
    weekday = list(Weekday)[anchor.weekday()] if rotation_type is RotationType.WEEKLY else None
    return anchor.time(), weekday
