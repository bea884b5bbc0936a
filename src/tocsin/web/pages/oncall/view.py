"""The view of on call: who is on call now and next, gaps, and two weeks of one team as a chart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from tocsin.contracts.oncall import PersonOnCall, Role, RotationType, Schedule, Shift
from tocsin.web.pages.oncall.schedule_chart import DAYS, ClockChange, Lane, ScheduleChart, chart_of
from tocsin.web.ui import format as fmt
from tocsin.web.ui.cached import Cached
from tocsin.web.ui.outages import Outages

ROLE_LABELS: Final = {Role.PRIMARY: "Primary", Role.SECONDARY: "Secondary"}
CONSEQUENCES: Final = {
    Role.PRIMARY: "Pages go to the secondary at once.",
    Role.SECONDARY: "If the primary does not acknowledge, the page goes to everyone in the team.",
}


@dataclass(frozen=True, slots=True)
class Assignment:
    """One role of a team: who has it, until when, and who is next."""

    role: Role
    person: PersonOnCall | None
    until: datetime | None
    """None if nobody else is next in the known shifts."""
    following: str | None
    """The next person's name; None if it is the same one, or nobody."""

    @property
    def label(self) -> str:
        """The role's name."""
        return ROLE_LABELS[self.role]


@dataclass(frozen=True, slots=True)
class Team:
    """One team, as its card shows it."""

    id: UUID
    name: str
    zone: ZoneInfo
    assignments: list[Assignment]
    may_manage: bool
    """Whether the visitor is a manager of the team, or an admin."""

    def assigned_to(self, name: str) -> Assignment | None:
        """Return the role that *name* has now, primary first."""
        return next((item for item in self.assignments if name and item.person and item.person.name == name), None)


@dataclass(frozen=True, slots=True)
class Handoff:
    """The next time at which somebody else is on call in a role of any team."""

    at: datetime
    team: Team


@dataclass(frozen=True, slots=True)
class Gap:
    """A role that nobody has, and the teams without it."""

    role: Role
    teams: list[str]
    consequence: str


@dataclass(frozen=True, slots=True)
class TeamChart:
    """Two weeks of one team."""

    schedule: Schedule
    zone: ZoneInfo
    handoffs: str
    """`weekly, Mon 09:00`."""
    chart: ScheduleChart
    clock_changes: list[str]
    """Sentences about clock changes."""

    @property
    def earlier(self) -> date:
        """The first day of the two weeks before."""
        return self.chart.first - timedelta(days=DAYS)

    @property
    def later(self) -> date:
        """The first day of the two weeks after."""
        return self.chart.first + timedelta(days=DAYS)


@dataclass(frozen=True, slots=True)
class Schedules:
    """The schedules, and shifts by team."""

    schedules: Sequence[Schedule]
    shifts: Mapping[str, Sequence[Shift]]
    """From now on, of the teams that have a card."""
    charted: Schedule | None
    first: date
    """The first day of the chart."""
    charted_shifts: Sequence[Shift]


@dataclass(frozen=True, slots=True)
class OnCallData:
    """What the services returned."""

    at: datetime
    name: str
    """The visitor's; empty if it is not known."""
    schedules: Cached[Schedules]
    outages: Outages


@dataclass(frozen=True, slots=True)
class OnCallView:
    """All that the page shows."""

    at: datetime
    fresh: bool
    known_at: datetime
    names: list[str]
    """Every team, to choose the chart from."""
    teams: list[Team]
    mine: list[tuple[Team, Assignment]]
    """The visitor's own roles."""
    gaps: list[Gap]
    next_handoff: Handoff | None
    chart: TeamChart | None
    outages: Outages


def monday(at: datetime, zone: ZoneInfo) -> date:
    """Return the Monday of the week of *at* in *zone*."""
    today = at.astimezone(zone).date()
    return today - timedelta(days=today.weekday())


def oncall_view(data: OnCallData) -> OnCallView:
    """Return the page's view of *data*."""
    found = data.schedules.value
    known = [(item, found.shifts.get(item.team)) for item in found.schedules] if found else []
    teams = [_team(item, shifts) for item, shifts in known if shifts]
    assigned = [(team, team.assigned_to(data.name)) for team in teams]
    return OnCallView(
        at=data.at,
        fresh=data.schedules.fresh,
        known_at=data.schedules.at,
        names=[item.team for item in found.schedules] if found else [],
        teams=teams,
        mine=[(team, assignment) for team, assignment in assigned if assignment],
        gaps=[gap for role in Role if (gap := _gap(role, teams))],
        next_handoff=min(
            (Handoff(item.until, team) for team in teams for item in team.assignments if item.until is not None),
            key=lambda handoff: handoff.at,
            default=None,
        ),
        chart=_chart(found, data.at) if found else None,
        outages=data.outages,
    )


def _team(schedule: Schedule, shifts: Sequence[Shift]) -> Team:
    def assignment(role: Role) -> Assignment:
        people = [getattr(shift, role.value) for shift in shifts]
        names = [person.name if person else None for person in people]
        changed = next((shift for shift, name in zip(shifts, names, strict=True) if name != names[0]), None)
        following = getattr(changed, role.value) if changed else None
        return Assignment(
            role, people[0], changed.starts_at if changed else None, following.name if following else None
        )

    assignments = [assignment(role) for role in Role]
    return Team(schedule.id, schedule.team, ZoneInfo(schedule.time_zone), assignments, schedule.may_manage)


def _gap(role: Role, teams: Sequence[Team]) -> Gap | None:
    without = [team.name for team in teams for item in team.assignments if item.role is role and item.person is None]
    return Gap(role, without, CONSEQUENCES[role]) if without else None


def _chart(found: Schedules, at: datetime) -> TeamChart | None:
    schedule = found.charted
    if schedule is None:
        return None
    zone = ZoneInfo(schedule.time_zone)
    chart = chart_of(found.charted_shifts, zone, found.first, at)
    handoff = f"{schedule.handoff_time:%H:%M}"
    weekly = schedule.rotation_type is RotationType.WEEKLY
    weekday = f"{schedule.handoff_weekday or ''}"[:3].capitalize()
    return TeamChart(
        schedule=schedule,
        zone=zone,
        handoffs=f"weekly, {weekday} {handoff}" if weekly else f"daily, {handoff}",
        chart=chart,
        clock_changes=[_sentence(change, chart.lanes[0], handoff) for change in chart.changes],
    )


def _sentence(change: ClockChange, primaries: Lane, handoff: str) -> str:
    shift = next((bar for bar in primaries.bars if bar.starts_at <= change.at < bar.ends_at), None)
    whose = f", and {shift.person} is on call for {shift.hours:g}" if shift and shift.person else ""
    return (
        f"Clocks go {'back' if change.back else 'forward'} from {change.before:%H:%M} to {change.after:%H:%M}: "
        f"{fmt.day(change.day)} has {change.hours:g} hours{whose}. Handoffs stay at {handoff} local time."
    )
