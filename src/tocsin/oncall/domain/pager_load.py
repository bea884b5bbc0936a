"""Pager load: the contribution of one incident's pages to the figures per day."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Final, TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo

from tocsin.contracts.escalations import Level

NIGHT_BEGINS: Final = time(22)
NIGHT_ENDS: Final = time(7)
"""Local time of the team. A night on which the clocks change is an hour longer or shorter."""
LEVEL_ORDER: Final = (Level.PRIMARY, Level.SECONDARY, Level.EVERYONE, Level.CATCH_ALL)
NO_LEVEL: Final = ""
"""The highest level of an incident for which nobody was paged."""


class PagerLoadKind(StrEnum):
    """What a row of `pager_load` counts."""

    PERSON = "person"
    SERVICE = "service"
    SERVICE_WEEK = "service_week"
    OUTCOME = "outcome"


class PagingOutcome(StrEnum):
    """How paging for an incident ended."""

    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    RUNNING = "running"


PagerLoadKey: TypeAlias = tuple[PagerLoadKind, date, str, str, str]
"""Kind, day, team, name, detail.

PERSON counts interruptions; the name is the person. SERVICE and SERVICE_WEEK count incidents by the day or the week in
which they were opened; the name is the service. OUTCOME counts incidents; the name is the highest level, the detail is
the outcome.
"""
PagerLoad: TypeAlias = dict[PagerLoadKey, tuple[int, int]]
"""The total, and how much of it was at night."""


@dataclass(frozen=True, slots=True)
class Interruption:
    """The pages of one person in one step that were neither cancelled nor failed; they count once."""

    incident_id: UUID
    team: str
    person: str
    level: Level
    at: datetime


@dataclass(frozen=True, slots=True)
class EscalatedIncident:
    """An incident for which paging was started."""

    incident_id: UUID
    team: str
    service: str
    opened_at: datetime
    stop_reason: str | None


def load_of(
    incident: EscalatedIncident, interruptions: Iterable[Interruption], zones: Mapping[str, ZoneInfo]
) -> PagerLoad:
    """Return the contribution of *incident*. UTC stands in for the zone of an unknown team."""
    load: defaultdict[PagerLoadKey, tuple[int, int]] = defaultdict(lambda: (0, 0))
    levels, any_night = set[Level](), False
    for interruption in interruptions:
        local = interruption.at.astimezone(zones.get(interruption.team, UTC))
        night = is_night(local)
        key = (PagerLoadKind.PERSON, on_call_day(local), interruption.team, interruption.person, "")
        total, at_night = load[key]
        load[key] = (total + 1, at_night + night)
        levels.add(interruption.level)
        any_night |= night
    opened = incident.opened_at.astimezone(UTC).date()
    monday = opened - timedelta(days=opened.weekday())
    level = max(levels, key=LEVEL_ORDER.index, default=NO_LEVEL)
    counted, team = (1, int(any_night)), incident.team
    load[PagerLoadKind.SERVICE, opened, team, incident.service, ""] = counted
    load[PagerLoadKind.SERVICE_WEEK, monday, team, incident.service, ""] = counted
    load[PagerLoadKind.OUTCOME, opened, team, level, outcome_of(incident.stop_reason)] = counted
    return dict(load)


def difference(before: PagerLoad, after: PagerLoad) -> PagerLoad:
    """Return what must be added to *before* to get *after*; unchanged keys are left out."""
    changes = {
        key: tuple(new - old for new, old in zip(after.get(key, (0, 0)), before.get(key, (0, 0)), strict=True))
        for key in before.keys() | after.keys()
    }
    return {key: (total, night) for key, (total, night) in changes.items() if total or night}


def sum_of(loads: Iterable[PagerLoad]) -> PagerLoad:
    """Return the sum of *loads*."""
    result: PagerLoad = {}
    for load in loads:
        for key, (total, night) in load.items():
            known = result.get(key, (0, 0))
            result[key] = (known[0] + total, known[1] + night)
    return result


def is_night(local: datetime) -> bool:
    """Return whether a local time lies between 22:00 and 07:00."""
    return local.time() >= NIGHT_BEGINS or local.time() < NIGHT_ENDS


def on_call_day(local: datetime) -> date:
    """Return the day to which a local time is attributed. Days begin at 07:00, so that a night belongs to one day."""
    return local.date() - timedelta(days=local.time() < NIGHT_ENDS)


def outcome_of(stop_reason: str | None) -> PagingOutcome:
    """Return the outcome for the reason of a stop; None means that paging is still running."""
    if stop_reason is None:
        return PagingOutcome.RUNNING
    return PagingOutcome.RESOLVED if stop_reason == "resolved" else PagingOutcome.ACKNOWLEDGED
