"""The view of Now: incidents that are not resolved, who is on call, response times."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from tocsin.contracts.alerts import Alert
from tocsin.contracts.boards import DailyTimes, IncidentBoard, MessageBoard
from tocsin.contracts.escalations import Escalation
from tocsin.contracts.incidents import IncidentStatus, IncidentSummary
from tocsin.contracts.model import Page, Severity
from tocsin.contracts.notifications import Notification, NotificationKind
from tocsin.contracts.oncall import OnCall
from tocsin.web.pages.now import sparklines
from tocsin.web.pages.now.health import HealthCheck, health_checks
from tocsin.web.ui import format as fmt
from tocsin.web.ui.cached import Cached
from tocsin.web.ui.escalation_progress import NextPage, Paging, paging_of
from tocsin.web.ui.outages import Outages

SHOWN: Final = 50
SHOWN_RESOLVED: Final = 10
WEEK: Final = 7
TREND_PERIODS: Final = 2 * WEEK
PULSE_WINDOW: Final = timedelta(hours=3)
DAY: Final = timedelta(days=1)
NOTHING: Final = (0, None)
"""The number and the mean of a day without incidents."""
RANK: Final = {severity: rank for rank, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True)
class Strip:
    """Who is on call, team by team."""

    teams: Sequence[OnCall]
    more: bool
    """Whether there are teams that are not shown."""


@dataclass(frozen=True, slots=True)
class NowData:
    """What the services returned; None where one is unavailable and nothing is cached."""

    at: datetime
    board: IncidentBoard | None
    escalations: Cached[dict[UUID, Escalation]]
    strip: Cached[Strip]
    alerts: Page[Alert] | None
    messages: MessageBoard | None
    outages: Outages

    @property
    def unacknowledged(self) -> Page[IncidentSummary] | None:
        """The incidents that nobody has acknowledged."""
        return self.board.open if self.board else None

    @property
    def acknowledged(self) -> Page[IncidentSummary] | None:
        """The acknowledged incidents."""
        return self.board.acknowledged if self.board else None

    @property
    def in_progress(self) -> Page[IncidentSummary] | None:
        """The incidents in progress."""
        return self.board.in_progress if self.board else None

    @property
    def resolved(self) -> Page[IncidentSummary] | None:
        """The resolved incidents of the last days."""
        return self.board.resolved if self.board else None


@dataclass(frozen=True, slots=True)
class UnackedIncident:
    """An incident that nobody has acknowledged."""

    incident: IncidentSummary
    age: float
    paging: Paging | None


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean over seven days, compared with the seven days before."""

    name: str
    number: str
    unit: str
    measured: int
    trend: int | None
    """Change in per cent; below zero is faster."""
    spark: sparklines.Sparkline | None
    """One value per day: the seven days before, then these seven."""
    peak: str
    """The highest day of the line."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """Received alerts over time."""

    total: str
    since: datetime
    window: str
    bars: list[sparklines.PulseBar]


@dataclass(frozen=True, slots=True)
class ResolvedGroup:
    """Resolved incidents of one part of the week."""

    title: str
    count: str
    incidents: list[IncidentSummary]


@dataclass(frozen=True, slots=True)
class NowView:
    """All that the page shows."""

    at: datetime
    known: bool
    """Whether incident management responded."""
    quiet: bool
    unacknowledged: list[UnackedIncident]
    open_count: str
    """The number of all unacknowledged incidents, such as `200+`."""
    next_pages: list[tuple[UnackedIncident, NextPage]]
    in_work: list[IncidentSummary]
    in_work_count: str
    """The number of all acknowledged or in progress, such as `100+`."""
    resolved: list[ResolvedGroup]
    last_resolved: IncidentSummary | None
    counts: dict[IncidentStatus, str]
    strip: Cached[Strip]
    paging_fresh: bool
    figures: list[Figure]
    pulse: Pulse | None
    checks: list[HealthCheck]
    nobody_paged: bool
    """Whether no page was sent for a day."""
    outages: Outages


def now_view(data: NowData) -> NowView:
    """Return the page's view of *data*."""
    at = data.at
    unacknowledged = _unacknowledged(data)
    in_work = sorted(
        [*_items(data.acknowledged), *_items(data.in_progress)], key=lambda incident: incident.created_at, reverse=True
    )
    ended = sorted(_items(data.resolved), key=lambda incident: incident.resolved_at or at, reverse=True)
    resolved = [incident for incident in ended if incident.resolved_at and incident.resolved_at >= at - DAY]
    counts = _counts(data, len(resolved))
    known = data.board is not None
    timed = [
        (item, item.paging.next_page)
        for item in unacknowledged
        if item.paging is not None and item.paging.next_page is not None
    ]
    return NowView(
        at=at,
        known=known,
        quiet=known and not unacknowledged and not in_work,
        unacknowledged=unacknowledged,
        open_count=_number(data.unacknowledged),
        next_pages=sorted(timed, key=lambda item: item[1].at)[:2],
        in_work=in_work[:SHOWN],
        in_work_count=_number(data.acknowledged, data.in_progress),
        resolved=_resolved_groups(resolved, ended[len(resolved) :], counts[IncidentStatus.RESOLVED]),
        last_resolved=ended[0] if ended else None,
        counts=counts,
        strip=data.strip,
        paging_fresh=data.escalations.fresh,
        figures=_figures(data.board.days, at) if data.board else [],
        pulse=_pulse(data.alerts, at),
        checks=health_checks(
            at,
            alerts=data.alerts,
            messages=data.messages.newest if data.messages else None,
            failed=data.messages.failed if data.messages else None,
            teams=(data.strip.value.teams if data.strip.value else ()) if data.strip.fresh else None,
            more_teams=data.strip.value.more if data.strip.value else False,
            all_respond=not data.outages.services,
        ),
        nobody_paged=data.messages is not None and not any(_paged_since(data.messages.newest, at - DAY)),
        outages=data.outages,
    )


def _items(page: Page[IncidentSummary] | None) -> list[IncidentSummary]:
    return page.items if page is not None else []


def _number(*pages: Page[IncidentSummary] | None) -> str:
    known = [page for page in pages if page is not None]
    if len(known) < len(pages):
        return "?"
    listed = sum(len(page.items) for page in known)
    return f"{listed}+" if any(page.next_cursor for page in known) else str(listed)


def _unacknowledged(data: NowData) -> list[UnackedIncident]:
    escalations = data.escalations.value or {}
    worst_first = sorted(_items(data.unacknowledged), key=lambda item: (RANK[item.severity], item.created_at))
    return [_unacked(incident, escalations.get(incident.id), data.at) for incident in worst_first[:SHOWN]]


def _unacked(incident: IncidentSummary, escalation: Escalation | None, at: datetime) -> UnackedIncident:
    paging = paging_of(escalation, at) if escalation else None
    return UnackedIncident(incident, fmt.since(incident.created_at, at), paging)


def _counts(data: NowData, resolved: int) -> dict[IncidentStatus, str]:
    full = data.resolved is not None and data.resolved.next_cursor is not None and resolved == len(data.resolved.items)
    return {
        IncidentStatus.OPEN: _number(data.unacknowledged),
        IncidentStatus.ACKNOWLEDGED: _number(data.acknowledged),
        IncidentStatus.IN_PROGRESS: _number(data.in_progress),
        IncidentStatus.RESOLVED: "?" if data.resolved is None else f"{resolved}+" if full else str(resolved),
    }


def _resolved_groups(
    lately: Sequence[IncidentSummary], earlier: Sequence[IncidentSummary], count: str
) -> list[ResolvedGroup]:
    """Return the incidents resolved within a day and, up to SHOWN_RESOLVED in all, earlier ones of the week."""
    room = max(0, SHOWN_RESOLVED - len(lately))
    groups = [
        ResolvedGroup("Resolved in the last 24 hours", count, list(lately[:SHOWN_RESOLVED])),
        ResolvedGroup("Resolved earlier, in the last 7 days", "", list(earlier[:room])),
    ]
    return [group for group in groups if group.incidents]


def _figures(days: Sequence[DailyTimes], at: datetime) -> list[Figure]:
    by_day = {times.day: times for times in days}
    today = at.astimezone(UTC).date()
    shown = [by_day.get(today - timedelta(days=ago)) for ago in reversed(range(TREND_PERIODS))]
    return [
        _figure("MTTA", [(day.acknowledged, day.mtta_seconds) if day else NOTHING for day in shown]),
        _figure("MTTR", [(day.resolved, day.mttr_seconds) if day else NOTHING for day in shown]),
    ]


def _figure(name: str, days: Sequence[tuple[int, float | None]]) -> Figure:
    """Return the figure of the number and the mean of each day."""
    before, week = _mean(days[:WEEK]), _mean(days[WEEK:])
    number, unit = fmt.figure(week) if week is not None else ("\N{EN DASH}", "")
    daily = [mean for _, mean in days]
    highest = max((mean for mean in daily if mean is not None), default=0.0)
    return Figure(
        name=name,
        number=number,
        unit=unit,
        measured=sum(count for count, _ in days[WEEK:]),
        trend=round(100 * (week - before) / before) if week is not None and before else None,
        spark=sparklines.sparkline(daily),
        peak=" ".join(fmt.figure(highest)).strip(),
    )


def _mean(days: Sequence[tuple[int, float | None]]) -> float | None:
    total = sum(count for count, mean in days if mean is not None)
    return sum(count * mean for count, mean in days if mean is not None) / total if total else None


def _pulse(page: Page[Alert] | None, at: datetime) -> Pulse | None:
    if page is None:
        return None
    recent = [alert.created_at for alert in page.items if alert.created_at >= at - PULSE_WINDOW]
    cut_short = page.next_cursor is not None and len(recent) == len(page.items)
    start = min(recent) if cut_short else at - PULSE_WINDOW
    total = f"{len(recent)}+" if cut_short else str(len(recent))
    window = fmt.duration(fmt.since(start, at)) if cut_short else f"{PULSE_WINDOW // timedelta(hours=1)} hours"
    return Pulse(total, start, window, sparklines.pulse(recent, start, at))


def _paged_since(page: Page[Notification], start: datetime) -> list[Notification]:
    return [item for item in page.items if item.kind is NotificationKind.PAGE and item.created_at >= start]
