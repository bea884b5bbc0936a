"""The view of on call: who is, who is next, where nobody is, and two weeks of one team as a picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from tocsin.contracts.oncall import PersonOnCall, Role, RotationType, Schedule, Shift
from tocsin.web.views import words
from tocsin.web.views.answer import Answer
from tocsin.web.views.away import Degraded
from tocsin.web.views.picture import DAYS, ClockChange, Lane, Picture, picture_of

ROLE_WORDS: Final = {Role.PRIMARY: "Primary", Role.SECONDARY: "Secondary"}
MEANINGS: Final = {
    Role.PRIMARY: "Pages go to the secondary at once.",
    Role.SECONDARY: "If the primary does not answer, the page goes to everyone in the team.",
}


@dataclass(frozen=True, slots=True)
class Post:
    """One role of a team: who has it, until when, and who has it next."""

    role: Role
    person: PersonOnCall | None
    until: datetime
    following: str | None
    """Another person's name; None where it is the same one, or nobody."""

    @property
    def word(self) -> str:
        """Name the role."""
        return ROLE_WORDS[self.role]


@dataclass(frozen=True, slots=True)
class Team:
    """One team, as its card shows it."""

    id: UUID
    name: str
    zone: ZoneInfo
    posts: list[Post]

    def held_by(self, name: str) -> Post | None:
        """Return the post that *name* has now, the primary's first."""
        return next((post for post in self.posts if name and post.person and post.person.name == name), None)


@dataclass(frozen=True, slots=True)
class Gap:
    """A role that nobody has, and in which teams."""

    role: Role
    teams: list[str]
    meaning: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """Two weeks of one team."""

    schedule: Schedule
    zone: ZoneInfo
    rhythm: str
    """`weekly, Mon 09:00`."""
    picture: Picture
    changes: list[str]
    """What the clocks do, in sentences."""

    @property
    def earlier(self) -> date:
        """The first day of the two weeks before."""
        return self.picture.first - timedelta(days=DAYS)

    @property
    def later(self) -> date:
        """The first day of the two weeks after."""
        return self.picture.first + timedelta(days=DAYS)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the services answered: the schedules, and shifts by team."""

    schedules: Sequence[Schedule]
    shifts: Mapping[str, Sequence[Shift]]
    """From now on, of the teams that have a card."""
    drawn: Schedule | None
    drawn_first: date
    drawn_shifts: Sequence[Shift]


@dataclass(frozen=True, slots=True)
class Rota:
    """All that the page shows."""

    at: datetime
    fresh: bool
    known_at: datetime
    names: list[str]
    """Every team, for the choice of the picture."""
    teams: list[Team]
    mine: list[tuple[Team, Post]]
    """What the visitor is on call for."""
    gaps: list[Gap]
    drawn: Drawn | None
    degraded: Degraded


def monday(at: datetime, zone: ZoneInfo) -> date:
    """Return the Monday of the week that *at* lies in, by the wall clock of *zone*."""
    today = at.astimezone(zone).date()
    return today - timedelta(days=today.weekday())


def rota_of(asked: Answer[Asked], name: str, degraded: Degraded, at: datetime) -> Rota:
    """Build the view of what was *asked*, for a visitor called *name*."""
    seen = asked.value
    known = [(item, seen.shifts.get(item.team)) for item in seen.schedules] if seen else []
    teams = [_team(item, shifts) for item, shifts in known if shifts]
    held = [(team, team.held_by(name)) for team in teams]
    return Rota(
        at=at,
        fresh=asked.fresh,
        known_at=asked.at,
        names=[item.team for item in seen.schedules] if seen else [],
        teams=teams,
        mine=[(team, post) for team, post in held if post],
        gaps=[gap for role in Role if (gap := _gap(role, teams))],
        drawn=_drawn(seen, at) if seen else None,
        degraded=degraded,
    )


def _team(schedule: Schedule, shifts: Sequence[Shift]) -> Team:
    def post(role: Role) -> Post:
        people = [getattr(shift, role.value) for shift in shifts]
        names = [person.name if person else None for person in people]
        return Post(role, people[0], shifts[0].ends_at, next((name for name in names if name != names[0]), None))

    return Team(schedule.id, schedule.team, ZoneInfo(schedule.time_zone), [post(role) for role in Role])


def _gap(role: Role, teams: Sequence[Team]) -> Gap | None:
    without = [team.name for team in teams for post in team.posts if post.role is role and post.person is None]
    return Gap(role, without, MEANINGS[role]) if without else None


def _drawn(seen: Asked, at: datetime) -> Drawn | None:
    schedule = seen.drawn
    if schedule is None:
        return None
    zone = ZoneInfo(schedule.time_zone)
    picture = picture_of(seen.drawn_shifts, zone, seen.drawn_first, at)
    handoff = f"{schedule.handoff_time:%H:%M}"
    weekly = schedule.rotation_type is RotationType.WEEKLY
    weekday = f"{schedule.handoff_weekday or ''}"[:3].capitalize()
    return Drawn(
        schedule=schedule,
        zone=zone,
        rhythm=f"weekly, {weekday} {handoff}" if weekly else f"daily, {handoff}",
        picture=picture,
        changes=[_in_words(change, picture.lanes[0], handoff) for change in picture.changes],
    )


def _in_words(change: ClockChange, primaries: Lane, handoff: str) -> str:
    turn = next((bar for bar in primaries.bars if bar.starts_at <= change.at < bar.ends_at), None)
    whose = f", {turn.person}'s turn {turn.hours:g}" if turn and turn.person else ""
    return (
        f"Clocks go {'back' if change.back else 'forward'} from {change.before:%H:%M} to {change.after:%H:%M}: "
        f"{words.day(change.day)} has {change.hours:g} hours{whose}. Handoffs stay at {handoff} on the wall."
    )
