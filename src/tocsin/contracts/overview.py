"""How well it goes, over days and weeks: what people and services exchange about many incidents."""

from datetime import date
from enum import StrEnum

from tocsin.contracts.incidents import Durations
from tocsin.contracts.model import Instant, Model, Severity


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
