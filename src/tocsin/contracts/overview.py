"""The wire models of statistics about one incident and about many."""

from datetime import date
from enum import StrEnum
from uuid import UUID

from tocsin.contracts.escalations import Level
from tocsin.contracts.incidents import Durations, IncidentStatus
from tocsin.contracts.model import Instant, Model, Severity


class IncidentMetrics(Model):
    """The times of an incident in seconds; null until acknowledged or resolved."""

    incident_id: UUID
    mtta_seconds: float | None
    mttr_seconds: float | None
    open_seconds: float
    """From creation to resolution, or to now."""
    status: IncidentStatus


class Grain(StrEnum):
    """The periods of a trend."""

    DAY = "day"
    WEEK = "week"


class Figures(Model):
    """Figures of the incidents opened in a period. Medians and percentiles are off by less than 6.25 %."""

    incidents: int
    by_severity: dict[Severity, int]
    mtta: Durations
    mttr: Durations
    acknowledged_seconds: float
    """Total time from acknowledgement to the start of work, or to the resolution if no start was reported."""
    in_progress_seconds: float
    """Total time from the start of work to the resolution."""


class Period(Figures):
    """A day, or a week starting on Monday, of the UTC calendar."""

    starts_on: date


class Bin(Model):
    """The number of incidents with a duration in [`from_seconds`, `to_seconds`); the last bin has a null end."""

    from_seconds: float
    to_seconds: float | None
    incidents: int


class NoisyService(Model):
    """A service with many incidents."""

    service: str
    team: str | None
    """The team with most of them."""
    incidents: int
    mtta: Durations
    mttr: Durations


class StatsOverview(Model):
    """Figures over whole days or weeks, and those of the preceding range of the same length."""

    since: date
    until: date
    """The day after the last."""
    by: Grain
    team: str | None
    as_of: Instant
    """Later changes may not be included yet."""
    history_before: Instant | None
    """Incidents opened before this time are still being added; null when all are included."""
    total: Figures
    before: Figures
    """The range of the same length that ends at `since`."""
    periods: list[Period]
    """Every period, oldest first, including those without incidents."""
    answered_within: list[Bin]
    """By time to acknowledge."""
    resolved_within: list[Bin]
    services: list[NoisyService]
    """The 20 with most incidents."""
    teams: list[str]
    """The teams with incidents in this range or the one before."""


class HighestLevels(Model):
    """Incidents opened in a range, by the highest escalation level that was paged."""

    incidents: int
    answered: dict[Level, int]
    """Acknowledged or in progress."""
    resolved: dict[Level, int]
    """Resolved without a preceding acknowledgement."""
    running: dict[Level, int]
    """Escalation still running."""
    nobody: int
    """Nobody was paged: paging stopped before a page was sent, or every page failed."""
    nights: int
    """Nights with at least one page."""


class PagedPerson(Model):
    """The pages that reached a person, by the team's local time."""

    person: str
    team: str
    pages: int
    night_pages: int
    """Between 22:00 and 07:00."""
    nights: int
    """Nights with at least one page."""


class PagedService(Model):
    """A service whose incidents paged people."""

    service: str
    incidents: int
    at_night: int
    """Incidents with a page between 22:00 and 07:00, by the team's local time."""


class OnCallOverview(Model):
    """The on-call load over whole days, and that of the preceding range of the same length."""

    since: date
    until: date
    """The day after the last."""
    team: str | None
    as_of: Instant
    """Later changes may not be included yet."""
    history_before: Instant | None
    """Incidents opened before this time are still being added; null when all are included."""
    total: HighestLevels
    before: HighestLevels
    people: list[PagedPerson]
    """The 50 with most pages at night, then with most pages in total."""
    services: list[PagedService]
    """The 200 with most incidents."""
