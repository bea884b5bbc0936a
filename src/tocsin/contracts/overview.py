"""How well it goes: what people and services exchange about the times of an incident, and of many."""

from datetime import date
from enum import StrEnum
from uuid import UUID

from tocsin.contracts.incidents import Durations, IncidentStatus
from tocsin.contracts.model import Instant, Model, Severity
from tocsin.contracts.oncall import Level


class IncidentMetrics(Model):
    """How long an incident took. Seconds; null until it has happened."""

    incident_id: UUID
    mtta_seconds: float | None
    mttr_seconds: float | None
    open_seconds: float
    """From creation to resolution, or until now."""
    status: IncidentStatus


class Grain(StrEnum):
    """What a trend goes by."""

    DAY = "day"
    WEEK = "week"


class Figures(Model):
    """How it went for the incidents opened in a time. Medians and percentiles are off by less than 6.25 %."""

    incidents: int
    by_severity: dict[Severity, int]
    mtta: Durations
    mttr: Durations
    acknowledged_seconds: float
    """Spent between the answer and the begin of work, or the resolution where nobody said that work began."""
    in_progress_seconds: float
    """Spent between the begin of work and the resolution."""


class Period(Figures):
    """A day, or a week from Monday on, of the UTC calendar."""

    starts_on: date


class Bin(Model):
    """How many incidents took so long: from `from_seconds` to before `to_seconds`, which is null at the end."""

    from_seconds: float
    to_seconds: float | None
    incidents: int


class NoisyService(Model):
    """A service that has many incidents."""

    service: str
    team: str | None
    """The team that had most of them."""
    incidents: int
    mtta: Durations
    mttr: Durations


class StatsOverview(Model):
    """How well it goes, over whole days or weeks, beside the time of the same length before."""

    since: date
    until: date
    """The day after the last."""
    by: Grain
    team: str | None
    as_of: Instant
    """What happened later may not be in these figures yet."""
    history_before: Instant | None
    """Of what was opened before then, days are still being added up; null when all are."""
    total: Figures
    before: Figures
    """The same number of days directly before `since`."""
    periods: list[Period]
    """Each of them, oldest first, also those without an incident."""
    answered_within: list[Bin]
    resolved_within: list[Bin]
    services: list[NoisyService]
    """The 20 with most incidents."""
    teams: list[str]
    """That have incidents in this time or the one before."""


class Reached(Model):
    """How far paging went for the incidents opened in a time, by the furthest level that was paged."""

    incidents: int
    answered: dict[Level, int]
    """Acknowledged, or work begun."""
    resolved: dict[Level, int]
    """Resolved before anybody had acknowledged."""
    running: dict[Level, int]
    """Still being paged for."""
    nobody: int
    """Nobody was paged: it was over at once, or nobody was on call."""
    nights: int
    """Nights in which somebody was paged."""


class PagedPerson(Model):
    """What reached one person, by that team's clock."""

    person: str
    team: str
    pages: int
    night_pages: int
    """Between 22:00 and 07:00."""
    nights: int
    """In which there was at least one."""


class PagedService(Model):
    """A service for whose incidents people were paged."""

    service: str
    incidents: int
    at_night: int
    """For which somebody was paged between 22:00 and 07:00, by the team's clock."""


class OnCallOverview(Model):
    """What being on call was like, over whole days, beside the time of the same length before."""

    since: date
    until: date
    """The day after the last."""
    team: str | None
    as_of: Instant
    """What happened later may not be in these figures yet."""
    history_before: Instant | None
    """Of what was opened before then, incidents are still being added up; null when all are."""
    total: Reached
    before: Reached
    people: list[PagedPerson]
    """The 50 with most pages at night, then by day."""
    services: list[PagedService]
    """The 200 with most incidents."""
