"""What people and services exchange with oncall-service."""

from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, PlainSerializer, StringConstraints, WithJsonSchema, model_validator

from tocsin.contracts.contact_types import Address, ChannelName, Email
from tocsin.contracts.model import Instant, Line, Model, Severity, Text

ZONES = frozenset(available_timezones()) - {"localtime", "Factory"}
"""What the server's own clock is set to is no name that means the same everywhere."""
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(3000, 1, 1, tzinfo=UTC)
DRILL_TEAM = "tocsin-drill"
"""Pages of a drill go to this team, whose only member is the console: it never stands in for a team that is missing."""


class RotationType(StrEnum):
    """How often the person on call changes."""

    WEEKLY = "weekly"
    DAILY = "daily"


class Role(StrEnum):
    """Who is paged first, and who next."""

    PRIMARY = "primary"
    SECONDARY = "secondary"


class Level(StrEnum):
    """A step of an escalation."""

    PRIMARY = "primary"
    SECONDARY = "secondary"
    EVERYONE = "everyone"
    CATCH_ALL = "catch_all"
    """Nobody was on call at any level."""


class Weekday(StrEnum):
    """Days as people write them."""

    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"


def known_zone(name: str) -> str:
    """Refuse what the IANA time zone database does not have."""
    if name not in ZONES:
        msg = f"{name!r} is not an IANA time zone such as Europe/Berlin"
        raise ValueError(msg)
    return name


def in_calendar(value: datetime) -> datetime:
    """Refuse instants so far off that no turn could be counted there."""
    if not EARLIEST <= value < LATEST:
        msg = "must lie in the years 1970 to 2999"
        raise ValueError(msg)
    return value


def start_in_calendar(value: date) -> date:
    """Refuse days so far off that no turn could be counted there."""
    if not EARLIEST.date() <= value < LATEST.date():
        msg = "must lie in the years 1970 to 2999"
        raise ValueError(msg)
    return value


def whole_minute(value: time) -> time:
    """Refuse seconds, and an offset: the time zone has its own field."""
    if value.tzinfo or value.second or value.microsecond:
        msg = "must be hours and minutes, such as 09:00"
        raise ValueError(msg)
    return value


CalendarInstant = Annotated[Instant, AfterValidator(in_calendar)]

# The formats "time" and "date-time" of JSON Schema demand an offset, which a wall clock has not.
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
    """One way to reach a person."""

    channel: ChannelName
    address: Address


class Member(Model):
    """A person of a team."""

    name: Line
    email: Email
    role: Role = Role.PRIMARY
    contacts: Annotated[list[Contact], Field(max_length=16)] = []
    """Without any, e-mail is used where a mail server is set up, else the console."""


class ScheduleIn(Model):
    """A team and its plain rotation."""

    team: Line
    rotation_type: RotationType
    members: Annotated[list[Member], Field(min_length=1, max_length=200)]
    services: Annotated[list[Line], Field(max_length=1_000)] = []
    """What the team owns: incidents of these services page it."""
    time_zone: Annotated[str, AfterValidator(known_zone)] = "UTC"
    handoff_time: WallClockMinute = time(0, 0)
    """Local wall clock, to the minute."""
    handoff_weekday: Weekday | None = None
    """For a weekly rotation only; by default the weekday of `start`, or Monday."""
    start: Annotated[date, AfterValidator(start_in_calendar)] | None = None
    """The day on which a turn of the first member begins. By default one turn before Monday of ISO week 1 (daily:
    before 1 January) of this year: all through this year the index is then the week's (day's) number modulo the
    members."""

    @model_validator(mode="after")
    def check(self) -> Self:
        """Refuse two members of one name, and two weekdays for one handoff."""
        names = [member.name for member in self.members]
        if len(set(names)) != len(names):
            msg = "two members have the same name"
            raise ValueError(msg)
        if self.rotation_type is RotationType.WEEKLY and self.start and self.handoff_weekday:
            starts_on = list(Weekday)[self.start.weekday()]
            if starts_on is not self.handoff_weekday:
                msg = f"start is a {starts_on}, handoff_weekday says {self.handoff_weekday}"
                raise ValueError(msg)
        return self


class Schedule(ScheduleIn):
    """A stored schedule."""

    id: UUID
    anchor: WallClock
    """Local wall clock at which a turn of the first member begins; all handoffs are counted from it."""
    created_at: Instant
    version: int = 1
    """Rises with each change."""


class PersonOnCall(Model):
    """Who it is."""

    name: str
    email: str


class OnCall(Model):
    """Who is on call for a team at an instant."""

    team: str
    primary: PersonOnCall | None
    secondary: PersonOnCall | None
    at: Instant
    until: Instant
    """When the next handoff changes it."""


class Shift(Model):
    """One turn. `ends_at` is the next one's `starts_at`."""

    team: str
    primary: PersonOnCall | None
    secondary: PersonOnCall | None
    starts_at: Instant
    ends_at: Instant


class Upcoming(Model):
    """The turns of the coming days, the present one first."""

    team: str
    items: list[Shift]


class StartEscalation(Model):
    """Page for an incident until somebody answers."""

    incident_id: UUID
    number: int
    title: Text
    service: Line
    severity: Severity
    created_at: Instant


class StopEscalation(Model):
    """Page no more for an incident."""

    reason: Annotated[str, StringConstraints(pattern=r"^(acknowledged|in_progress|resolved)$")]
    actor: Line


class DeliveryFailed(Model):
    """A page could not be delivered and never will be: go on to the next level now."""

    notification_id: UUID
    detail: Text = ""


class Escalate(Model):
    """Page the next level now, or another team."""

    incident_id: UUID
    team: Line | None = None
    reason: Annotated[Text, Field(max_length=1_024)] | None = None
    actor: Line | None = None


class EscalationPage(Model):
    """One message to one person."""

    notification_id: UUID
    step: int
    level: Level
    person: str
    channel: ChannelName
    reason: str
    """Why this person: the level, the schedule, the rule."""
    created_at: Instant
    voided_at: Instant | None
    """When it was withdrawn, because somebody answered before it went out."""
    failed_at: Instant | None
    failure: str | None


class Escalation(Model):
    """How far the paging for an incident has come."""

    incident_id: UUID
    team: str | None
    """Null while only a stop has arrived, which may overtake its start."""
    team_reason: str | None
    assigned_to: str | None
    """The first person paged; null when that was the catch-all, or nobody."""
    step: int
    """How many steps were taken; rises also when the levels repeat."""
    level: Level | None
    """The level paged last."""
    next_level: Level | None
    next_people: list[str]
    next_action_at: Instant | None
    timeout_seconds: float
    stopped_at: Instant | None
    stop_reason: str | None
    pages: list[EscalationPage]
    """The newest 200, oldest first."""


class Escalations(Model):
    """Many at once; an incident without one is missing."""

    items: list[Escalation]
