"""The wire models of oncall-service: schedules and shifts."""

from collections import Counter
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from tocsin.contracts.contact_types import Address, ChannelName, Email, ShownAddress
from tocsin.contracts.model import Instant, Line, Model

ZONES = frozenset(available_timezones()) - {"localtime", "Factory"}
"""IANA names, without the aliases that depend on the server."""
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(3000, 1, 1, tzinfo=UTC)
DRILL_TEAM = "tocsin-drill"
"""The team of fire drills, which pages the console only; it is never used as a fallback for a missing team."""


class RotationType(StrEnum):
    """The length of a shift."""

    WEEKLY = "weekly"
    DAILY = "daily"


class Role(StrEnum):
    """The rotation that a member belongs to: primaries are paged first, then secondaries."""

    PRIMARY = "primary"
    SECONDARY = "secondary"


class Weekday(StrEnum):
    """Weekday names."""

    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"


def known_zone(name: str) -> str:
    """Return *name* if it is an IANA time zone. Raise ValueError otherwise."""
    if name not in ZONES:
        msg = f"{name!r} is not an IANA time zone such as Europe/Berlin"
        raise ValueError(msg)
    return name


def in_calendar(value: datetime) -> datetime:
    """Return *value* if it lies in the supported years. Raise ValueError otherwise."""
    if not EARLIEST <= value < LATEST:
        msg = "must lie in the years 1970 to 2999"
        raise ValueError(msg)
    return value


def start_in_calendar(value: date) -> date:
    """Return *value* if it lies in the supported years. Raise ValueError otherwise."""
    if not EARLIEST.date() <= value < LATEST.date():
        msg = "must lie in the years 1970 to 2999"
        raise ValueError(msg)
    return value


def whole_minute(value: time) -> time:
    """Return *value* if it has neither seconds nor an offset. Raise ValueError otherwise."""
    if value.tzinfo or value.second or value.microsecond:
        msg = "must be hours and minutes, such as 09:00"
        raise ValueError(msg)
    return value


CalendarInstant = Annotated[Instant, AfterValidator(in_calendar)]

# The formats "time" and "date-time" of JSON Schema require an offset, which a local time does not have.
WallClockMinute = Annotated[
    time,
    AfterValidator(whole_minute),
    PlainSerializer(lambda value: value.isoformat("minutes"), return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9](:00)?$"}),
]
WallClock = Annotated[
    datetime,
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}$"}),
]


class Contact(Model):
    """A channel and an address on it."""

    channel: ChannelName
    address: Address


class Member(Model):
    """A member of a team."""

    name: Line
    email: Email
    role: Role = Role.PRIMARY
    contacts: Annotated[list[Contact], Field(max_length=16)] = []
    """If empty, pages go by e-mail if a mail server is configured, otherwise to the console."""


class ScheduleIn(Model):
    """A team with its schedule."""

    team: Line
    rotation_type: RotationType
    members: Annotated[list[Member], Field(min_length=1, max_length=200)]
    services: Annotated[list[Line], Field(max_length=1_000)] = []
    """Services that the team owns: their incidents page it."""
    time_zone: Annotated[str, AfterValidator(known_zone)] = "UTC"
    handoff_time: WallClockMinute = time(0, 0)
    """Local time, to the minute."""
    handoff_weekday: Weekday | None = None
    """Weekly rotations only; by default the weekday of `start`, else Monday."""
    start: Annotated[date, AfterValidator(start_in_calendar)] | None = None
    """The day on which a shift of the first member begins. By default one shift before ISO week 1 (weekly) or 1 January
    (daily) of the current year: in week or day N of this year, the member at index N modulo the number of people is on
    call."""

    @model_validator(mode="after")
    def check(self) -> Self:
        """Check that names are unique and that `start` falls on `handoff_weekday`."""
        name, times = Counter(member.name for member in self.members).most_common(1)[0]
        if times > 1:
            msg = f"{times} members are named {name!r}: names must be unique"
            raise ValueError(msg)
        if self.rotation_type is RotationType.WEEKLY and self.start and self.handoff_weekday:
            starts_on = list(Weekday)[self.start.weekday()]
            if starts_on is not self.handoff_weekday:
                msg = f"start is a {starts_on} but handoff_weekday is {self.handoff_weekday}: send only one of them"
                raise ValueError(msg)
        return self


class Schedule(ScheduleIn):
    """A stored schedule."""

    id: UUID
    anchor: WallClock
    """Local time at which a shift of the first member begins; all handoffs are computed from it."""
    created_at: Instant
    version: int = 1
    """Incremented by each change."""
    may_manage: bool = True
    """Whether the caller may change it, as a manager of the team or an admin."""


class PersonOnCall(Model):
    """A person on call."""

    name: str
    email: ShownAddress


class OnCall(Model):
    """Who is on call for a team at an instant."""

    team: str
    primary: PersonOnCall | None
    secondary: PersonOnCall | None
    at: Instant
    until: Instant
    """The next handoff."""
    time_zone: str
    """The IANA time zone in which the team's handoffs are set."""


class Shift(Model):
    """A shift. `ends_at` equals the `starts_at` of the next one."""

    team: str
    primary: PersonOnCall | None
    secondary: PersonOnCall | None
    starts_at: Instant
    ends_at: Instant


class Upcoming(Model):
    """A team's shifts, the current one first."""

    team: str
    time_zone: str
    """The IANA time zone in which the team's handoffs are set."""
    items: list[Shift]
