"""Escalations: the order of the levels, and whom a step pages."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self
from uuid import UUID

from tocsin.contracts.escalations import CATCH_ALL_PERSON, Level
from tocsin.contracts.notifications import IncidentBrief
from tocsin.contracts.oncall import Contact
from tocsin.oncall.domain.contact_resolver import ContactResolver
from tocsin.oncall.domain.schedule import StoredSchedule

LEVELS: Final = (Level.PRIMARY, Level.SECONDARY, Level.EVERYONE)
"""In paging order; the first follows the last."""


@dataclass(frozen=True, slots=True)
class EscalationStart:
    """The incident that an escalation pages for, and the team it pages."""

    incident: IncidentBrief
    team: str
    team_reason: str


@dataclass(frozen=True, slots=True)
class StoredEscalation:
    """The escalation of an incident as stored."""

    incident_id: UUID
    start: EscalationStart | None
    """None if a stop arrived before the start."""
    assigned_to: str | None
    step: int
    level: Level | None
    next_level: Level
    timeout_seconds: float
    next_action_at: datetime | None
    stopped_at: datetime | None
    stop_reason: str | None
    stopped_by: str | None

    @classmethod
    def started(cls, incident_id: UUID, start: EscalationStart, *, timeout_seconds: float) -> Self:
        """Return a new escalation, before its first step."""
        return cls(
            incident_id=incident_id,
            start=start,
            assigned_to=None,
            step=0,
            level=None,
            next_level=LEVELS[0],
            timeout_seconds=timeout_seconds,
            next_action_at=None,
            stopped_at=None,
            stop_reason=None,
            stopped_by=None,
        )


@dataclass(frozen=True, slots=True)
class StoredPage:
    """A page as stored: one message to one person over one channel."""

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
class PlannedPage:
    """A person to page on all of their contacts, and the reason."""

    person: str
    contacts: tuple[Contact, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class StepPlan:
    """The pages of a step, and the level of the step after it."""

    level: Level
    next_level: Level
    pages: tuple[PlannedPage, ...]
    skipped: tuple[Level, ...]
    """Levels skipped because nobody was on call there."""

    @property
    def nobody_on_call(self) -> bool:
        """Whether nobody was on call at any level."""
        return set(self.skipped) == set(LEVELS)


def level_after(level: Level) -> Level:
    """Return the level after *level*; the first level follows the last one and the catch-all."""
    return LEVELS[(LEVELS.index(level) + 1) % len(LEVELS)] if level in LEVELS else LEVELS[0]


def level_after_failure(level: Level) -> Level | None:
    """Return the level to page at once when no page of *level* could be delivered.

    The catch-all follows the last level. None after the catch-all: starting over at once would page as fast as
    deliveries fail, so the escalation waits for its time-out instead.
    """
    if level is Level.CATCH_ALL:
        return None
    return Level.CATCH_ALL if level is LEVELS[-1] else level_after(level)


def plan_step(
    schedule: StoredSchedule | None, *, team: str, level: Level, at: datetime, contacts: ContactResolver
) -> StepPlan:
    """Plan a step at *level*: the first level from there on that has members, else the catch-all."""
    skipped: list[Level] = []
    for candidate in _levels_from(level):
        members = schedule.members_at(candidate, at) if schedule else ()
        if schedule and members:
            reason = _reason(schedule, candidate, at)
            pages = tuple(PlannedPage(member.name, contacts.contacts_of(member), reason) for member in members)
            return StepPlan(candidate, level_after(candidate), pages, tuple(skipped))
        skipped.append(candidate)
    reason = f"no page to {team} could be delivered" if level is Level.CATCH_ALL else f"nobody is on call for {team}"
    page = PlannedPage(CATCH_ALL_PERSON, (contacts.catch_all,), reason)
    return StepPlan(Level.CATCH_ALL, LEVELS[0], (page,), tuple(skipped))


def _levels_from(level: Level) -> tuple[Level, ...]:
    if level not in LEVELS:
        return ()
    first = LEVELS.index(level)
    return LEVELS[first:] + LEVELS[:first]


def _reason(schedule: StoredSchedule, level: Level, at: datetime) -> str:
    text = describe_level(level, schedule.team)
    return text if level is Level.EVERYONE else f"{text} ({schedule.describe_shift_at(at)})"


def describe_level(level: Level, team: str) -> str:
    """Return *level* as shown to people, such as `level 1, primary for Payments`."""
    if level is Level.CATCH_ALL:
        return CATCH_ALL_PERSON
    members = f"everyone in {team}" if level is Level.EVERYONE else f"{level} for {team}"
    return f"level {LEVELS.index(level) + 1}, {members}"
