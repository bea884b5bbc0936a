"""What one web page needs from one service, as one response."""

from datetime import date

from tocsin.contracts.escalations import Escalation
from tocsin.contracts.incidents import Incident, IncidentCounts, IncidentSummary
from tocsin.contracts.model import Model, Page
from tocsin.contracts.notifications import Notification
from tocsin.contracts.oncall import OnCall, Schedule


class DailyTimes(Model):
    """Mean times, in seconds, of the incidents opened on a UTC day; null for a count of 0."""

    day: date
    acknowledged: int
    mtta_seconds: float | None
    resolved: int
    mttr_seconds: float | None


class IncidentBoard(Model):
    """The newest incidents of each state, and the times of the last days."""

    open: Page[IncidentSummary]
    acknowledged: Page[IncidentSummary]
    in_progress: Page[IncidentSummary]
    resolved: Page[IncidentSummary]
    days: list[DailyTimes]
    """Days with incidents; seconds behind."""


class IncidentListing(Model):
    """A page of the list of incidents, and the number of unresolved incidents."""

    page: Page[IncidentSummary]
    counts: IncidentCounts
    own_counts: IncidentCounts
    """Those of the person whose counts were requested; zeros without one."""


class IncidentView(Model):
    """An incident in detail, the last resolved ones of its service, and the number of unresolved incidents."""

    incident: Incident
    resolved: Page[IncidentSummary]
    counts: IncidentCounts


class OnCallBoard(Model):
    """Who is on call in each of the newest teams, and the escalations of some incidents."""

    teams: list[OnCall]
    more_teams: bool
    """Whether there are teams that are not listed."""
    escalations: list[Escalation]


class OnCallListing(Model):
    """The newest schedules, and the escalations of some incidents."""

    schedules: Page[Schedule]
    escalations: list[Escalation]


class MessageBoard(Model):
    """The newest messages, and the newest ones that failed."""

    newest: Page[Notification]
    failed: Page[Notification]
