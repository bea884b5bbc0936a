"""Who is on call, and whom an escalation pages next: pure functions of their arguments."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time
from enum import StrEnum
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from tocsin.channels import CHANNELS, console, email
from tocsin.contracts.notifications import IncidentBrief
from tocsin.contracts.oncall import Contact, Level, Member, Role, RotationType, ScheduleIn, Weekday
from tocsin.oncall.rotation import DAY, WEEK, Rotation, daily_anchor, weekly_anchor

LEVELS: Final = (Level.PRIMARY, Level.SECONDARY, Level.EVERYONE)
"""In the order in which they are paged; after the last one the first again."""
CATCH_ALL_PERSON: Final = "catch-all"
PERIODS: Final = {RotationType.WEEKLY: WEEK, RotationType.DAILY: DAY}


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a schedule: who, and the instants in UTC between which it lies."""

    primary: Member | None
    secondary: Member | None
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class StoredSchedule:
    """A team's plain rotation as a row."""

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
        """The turns that primaries and secondaries take, each apart."""
        return Rotation(self.zone, self.anchor, PERIODS[self.rotation_type])

    def on_call(self, role: Role, turn: int) -> Member | None:
        """Say who has *turn* among the members of *role*; None where there are none."""
        members = [member for member in self.members if member.role is role]
        return members[turn % len(members)] if members else None

    def turn(self, number: int) -> Turn:
        """Return turn *number* (any integer)."""
        rotation = self.rotation
        return Turn(
            primary=self.on_call(Role.PRIMARY, number),
            secondary=self.on_call(Role.SECONDARY, number),
            starts_at=rotation.handoff(number),
            ends_at=rotation.handoff(number + 1),
        )

    def turn_at(self, at: datetime) -> Turn:
        """Return the turn that *at* belongs to."""
        return self.turn(self.rotation.turn_at(at))

    def turns(self, since: datetime, until: datetime) -> Iterator[Turn]:
        """Yield the turns that meet [since, until), whole."""
        return map(self.turn, self.rotation.turns(since, until))

    def turn_in_words(self, at: datetime) -> str:
        """Name the turn that *at* belongs to by the ISO week, or the day of the year, in which it begins."""
        rotation = self.rotation
        begins = rotation.local_start(rotation.turn_at(at))
        if self.rotation_type is RotationType.WEEKLY:
            return f"week {begins.isocalendar().week}"
        return f"day {begins.timetuple().tm_yday}"

    def people(self, level: Level, at: datetime) -> tuple[Member, ...]:
        """Say whom *level* means at an instant; nobody where it is empty."""
        if level is Level.EVERYONE:
            return self.members
        turn = self.turn_at(at)
        member = turn.primary if level is Level.PRIMARY else turn.secondary
        return (member,) if member else ()


def anchor_of(given: ScheduleIn, made_at: datetime) -> datetime:
    """Return the local wall clock at which a turn of the first member begins."""
    if given.start is not None:
        return datetime.combine(given.start, given.handoff_time)
    zone = ZoneInfo(given.time_zone)
    if given.rotation_type is RotationType.DAILY:
        return daily_anchor(made_at, zone, given.handoff_time)
    weekday = list(Weekday).index(given.handoff_weekday or Weekday.MONDAY)
    return weekly_anchor(made_at, zone, weekday, given.handoff_time)


def handoff_of(anchor: datetime, rotation_type: RotationType) -> tuple[time, Weekday | None]:
    """Return the time of day and the weekday (weekly rotations only) at which turns change hands."""
    weekday = list(Weekday)[anchor.weekday()] if rotation_type is RotationType.WEEKLY else None
    return anchor.time(), weekday


class TeamRule(StrEnum):
    """How an incident's service led to a team, in the order in which the rules are tried."""

    NAME = "name"
    SERVICE = "service"
    DEFAULT = "default"
    OLDEST = "oldest"


def team_in_words(rule: TeamRule | None, *, team: str, service: str, default_team: str) -> str:
    """Say why an incident of *service* belongs to *team*; without a rule no team exists at all."""
    if rule is TeamRule.NAME:
        return f"{team} is the team of this name"
    if rule is TeamRule.SERVICE:
        return f"{team} owns {service}"
    if rule is TeamRule.DEFAULT:
        return f"nobody owns {service}, and {team} is the default team"
    if rule is TeamRule.OLDEST:
        return f"nobody owns {service}, there is no default team {default_team}, and {team} is the oldest team"
    return "there is no team at all"


@dataclass(frozen=True, slots=True)
class Start:
    """What an escalation pages for, and whom."""

    incident: IncidentBrief
    team: str
    team_reason: str


@dataclass(frozen=True, slots=True)
class StoredEscalation:
    """How far the paging for an incident has come, as a row."""

    incident_id: UUID
    start: Start | None
    """None while only a stop has arrived."""
    assigned_to: str | None
    step: int
    level: Level | None
    next_level: Level
    timeout_seconds: float
    next_action_at: datetime | None
    stopped_at: datetime | None
    stop_reason: str | None
    stopped_by: str | None


@dataclass(frozen=True, slots=True)
class StoredPage:
    """One message to one person over one channel, as a row."""

    id: UUID
    incident_id: UUID
    team: str
    step: int
    level: Level
    person: str
    channel: str
    address: str
    reason: str


@dataclass(frozen=True, slots=True)
class Reach:
    """How people are reached who named no contact, and who is paged when nobody is on call."""

    mail: bool
    catch_all: Contact

    def contacts(self, member: Member) -> tuple[Contact, ...]:
        """Return where to send a member's pages; never empty, each once."""
        if member.contacts:
            return tuple(dict.fromkeys(member.contacts))
        channel = email.CHANNEL if self.mail else console.CHANNEL
        return (Contact(channel=channel.name, address=member.email),)


@dataclass(frozen=True, slots=True)
class PlannedPage:
    """One person to be paged, on all their contacts, and why."""

    person: str
    contacts: tuple[Contact, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Step:
    """Whom an escalation pages now, and which level it goes on with."""

    level: Level
    next_level: Level
    pages: tuple[PlannedPage, ...]
    skipped: tuple[Level, ...]
    """Levels that came before this one and had nobody."""


def following(level: Level) -> Level:
    """Return the level after *level*; after the last one, and after the catch-all, the first."""
    return LEVELS[(LEVELS.index(level) + 1) % len(LEVELS)] if level in LEVELS else LEVELS[0]


def after_failure(level: Level) -> Level | None:
    """Say what to page at once when no page of *level* could be delivered.

    That is the next level, and after the last one the catch-all. None after the catch-all: going round again would page
    as fast as deliveries fail, so that waits for its time.
    """
    if level is Level.CATCH_ALL:
        return None
    return Level.CATCH_ALL if level is LEVELS[-1] else following(level)


def plan_step(schedule: StoredSchedule | None, *, team: str, level: Level, at: datetime, reach: Reach) -> Step:
    """Plan the step that begins with *level*.

    An empty level passes on at once; with nobody at any level the catch-all is paged.
    """
    skipped: list[Level] = []
    for candidate in _levels_from(level):
        people = schedule.people(candidate, at) if schedule else ()
        if schedule and people:
            reason = _reason(schedule, candidate, at)
            pages = tuple(PlannedPage(person.name, reach.contacts(person), reason) for person in people)
            return Step(candidate, following(candidate), pages, tuple(skipped))
        skipped.append(candidate)
    reason = f"no page to {team} could be delivered" if level is Level.CATCH_ALL else f"nobody is on call for {team}"
    page = PlannedPage(CATCH_ALL_PERSON, (reach.catch_all,), reason)
    return Step(Level.CATCH_ALL, LEVELS[0], (page,), tuple(skipped))


def _levels_from(level: Level) -> tuple[Level, ...]:
    if level not in LEVELS:
        return ()
    first = LEVELS.index(level)
    return LEVELS[first:] + LEVELS[:first]


def _reason(schedule: StoredSchedule, level: Level, at: datetime) -> str:
    text = level_in_words(level, schedule.team)
    return text if level is Level.EVERYONE else f"{text} by {schedule.turn_in_words(at)}"


def level_in_words(level: Level, team: str) -> str:
    """Name a level as people say it."""
    if level is Level.CATCH_ALL:
        return "the catch-all"
    who = f"everyone in {team}" if level is Level.EVERYONE else f"{level} of {team}"
    return f"level {LEVELS.index(level) + 1}, {who}"


def seconds_in_words(seconds: float) -> str:
    """Name a time-out as people say it: whole minutes as minutes, anything else as seconds."""
    minutes, rest = divmod(seconds, 60)
    return f"{seconds:g} s" if rest or not minutes else f"{minutes:g} min"


def paged_in_words(page: PlannedPage) -> str:
    """Say who was paged, why and how."""
    channels = ", ".join(dict.fromkeys(CHANNELS.label_in_text(contact.channel) for contact in page.contacts))
    return f"Paged {page.person} ({page.reason}) by {channels}"


def escalated_in_words(step: Step, team: str, why: str) -> str:
    """Say which level was paged next and why, with the levels that had nobody."""
    words = f"Escalated to {level_in_words(step.level, team)}: {why}"
    if not step.skipped:
        return words
    return f"{words}; nobody is {' or '.join(step.skipped)}"
