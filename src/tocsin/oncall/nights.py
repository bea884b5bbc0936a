"""What an incident's paging adds to the tally: pure functions of its rows."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Final, TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo

from tocsin.contracts.oncall import Level

NIGHT_BEGINS: Final = time(22)
NIGHT_ENDS: Final = time(7)
"""Wall clock of the team. On the nights on which the clocks change it is an hour longer or shorter, as people's is."""
FURTHEST: Final = (Level.PRIMARY, Level.SECONDARY, Level.EVERYONE, Level.CATCH_ALL)
NOBODY: Final = ""
"""The level of an incident for which nobody was paged."""


class Kind(StrEnum):
    """What a row of the tally counts."""

    PERSON = "person"
    SERVICE = "service"
    SERVICE_WEEK = "service_week"
    OUTCOME = "outcome"


class Outcome(StrEnum):
    """How paging ended."""

    ANSWERED = "answered"
    RESOLVED = "resolved"
    RUNNING = "running"


Key: TypeAlias = tuple[Kind, date, str, str, str]
"""Kind, day, team, name, detail."""
Parts: TypeAlias = dict[Key, tuple[int, int]]
"""How many, and how many of them at night."""


@dataclass(frozen=True, slots=True)
class Paged:
    """One interruption: whatever went to one person in one step, and was neither withdrawn nor undeliverable."""

    incident_id: UUID
    team: str
    person: str
    level: Level
    at: datetime


@dataclass(frozen=True, slots=True)
class Escalated:
    """An incident for which paging was started."""

    incident_id: UUID
    team: str
    service: str
    opened_at: datetime
    stop_reason: str | None


def parts_of(escalated: Escalated, pages: Iterable[Paged], zones: Mapping[str, ZoneInfo]) -> Parts:
    """Return what an incident adds. A team whose zone is not known lives by UTC."""
    parts: defaultdict[Key, tuple[int, int]] = defaultdict(lambda: (0, 0))
    levels, disturbed = set[Level](), False
    for page in pages:
        local = page.at.astimezone(zones.get(page.team, UTC))
        night = is_night(local)
        key = (Kind.PERSON, duty_day(local), page.team, page.person, "")
        number, at_night = parts[key]
        parts[key] = (number + 1, at_night + night)
        levels.add(page.level)
        disturbed |= night
    opened = escalated.opened_at.astimezone(UTC).date()
    monday = opened - timedelta(days=opened.weekday())
    level = max(levels, key=FURTHEST.index, default=NOBODY)
    one, team = (1, int(disturbed)), escalated.team
    parts[Kind.SERVICE, opened, team, escalated.service, ""] = one
    parts[Kind.SERVICE_WEEK, monday, team, escalated.service, ""] = one
    parts[Kind.OUTCOME, opened, team, level, outcome_of(escalated.stop_reason)] = one
    return dict(parts)


def change(before: Parts, after: Parts) -> Parts:
    """Return what must be added to a tally that has *before* so that it has *after*; what stays is left out."""
    differences = {
        key: tuple(new - old for new, old in zip(after.get(key, (0, 0)), before.get(key, (0, 0)), strict=True))
        for key in before.keys() | after.keys()
    }
    return {key: (number, night) for key, (number, night) in differences.items() if number or night}


def is_night(local: datetime) -> bool:
    """Say whether somebody who lives by this clock sleeps."""
    return local.time() >= NIGHT_BEGINS or local.time() < NIGHT_ENDS


def duty_day(local: datetime) -> date:
    """Return the day that an instant belongs to: it ends with the night, so that a night is one day's."""
    return local.date() - timedelta(days=local.time() < NIGHT_ENDS)


def outcome_of(stop_reason: str | None) -> Outcome:
    """Say how paging ended, from the state in which the incident was when it did."""
    if stop_reason is None:
        return Outcome.RUNNING
    return Outcome.RESOLVED if stop_reason == "resolved" else Outcome.ANSWERED
