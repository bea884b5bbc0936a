"""The view of Now: unacknowledged incidents, those being worked on, who is on call, response times."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from tocsin.contracts.alerts import Alert
from tocsin.contracts.escalations import Escalation
from tocsin.contracts.incidents import Durations, IncidentStatus, IncidentSummary, PeriodSummary, StatsSummary
from tocsin.contracts.model import Page, Severity
from tocsin.contracts.notifications import Notification, NotificationKind
from tocsin.contracts.oncall import OnCall
from tocsin.integrations import label_of
from tocsin.web.pages.now import sparklines
from tocsin.web.ui import format as fmt
from tocsin.web.ui.cached import Cached
from tocsin.web.ui.outages import Outages
from tocsin.web.ui.paging import NextPage, Paging, paging_of

SHOWN: Final = 50
SHOWN_RESOLVED: Final = 10
WEEK: Final = 7
TREND_PERIODS: Final = 2 * WEEK
PULSE_WINDOW: Final = timedelta(hours=3)
DAY: Final = timedelta(days=1)
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
    unacknowledged: Page[IncidentSummary] | None
    acknowledged: Page[IncidentSummary] | None
    in_progress: Page[IncidentSummary] | None
    resolved: Page[IncidentSummary] | None
    escalations: Cached[dict[UUID, Escalation]]
    strip: Cached[Strip]
    summary: StatsSummary | None
    alerts: Page[Alert] | None
    messages: Page[Notification] | None
    failed: Page[Notification] | None
    outages: Outages


@dataclass(frozen=True, slots=True)
class UnackedIncident:
    """An incident that nobody has acknowledged."""

    incident: IncidentSummary
    age: float
    paging: Paging | None


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean over seven days, against the seven days before."""

    name: str
    number: str
    unit: str
    measured: int
    trend: int | None
    """Change in per cent; below zero is faster."""
    spark: sparklines.Sparkline | None


@dataclass(frozen=True, slots=True)
class Pulse:
    """Received alerts over time."""

    total: str
    since: datetime
    window: str
    bars: list[sparklines.PulseBar]


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """Evidence that silence means health; one that is not *ok* needs a look."""

    ok: bool
    title: str
    detail: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NowView:
    """All that the page shows."""

    at: datetime
    known: bool
    """Whether incident management responded."""
    quiet: bool
    unacknowledged: list[UnackedIncident]
    open_count: str
    """Of all unacknowledged incidents, such as `200+`."""
    next_pages: list[tuple[UnackedIncident, NextPage]]
    in_work: list[IncidentSummary]
    resolved: list[IncidentSummary]
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
    """Build what the page shows of *data*."""
    at = data.at
    unacknowledged = _unacknowledged(data)
    in_work = sorted(
        [*_items(data.acknowledged), *_items(data.in_progress)], key=lambda incident: incident.created_at, reverse=True
    )
    ended = sorted(_items(data.resolved), key=lambda incident: incident.resolved_at or at, reverse=True)
    resolved = [incident for incident in ended if incident.resolved_at and incident.resolved_at >= at - DAY]
    known = not any(page is None for page in (data.unacknowledged, data.acknowledged, data.in_progress))
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
        resolved=resolved[:SHOWN_RESOLVED],
        last_resolved=ended[0] if ended else None,
        counts=_counts(data, len(resolved)),
        strip=data.strip,
        paging_fresh=data.escalations.fresh,
        figures=_figures(data.summary, at),
        pulse=_pulse(data.alerts, at),
        checks=_checks(data),
        nobody_paged=data.messages is not None and not any(_paged_since(data.messages, at - DAY)),
        outages=data.outages,
    )


def _items(page: Page[IncidentSummary] | None) -> list[IncidentSummary]:
    return page.items if page is not None else []


def _number(page: Page[IncidentSummary] | None) -> str:
    if page is None:
        return "?"
    return f"{len(page.items)}+" if page.next_cursor else str(len(page.items))


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


def _figures(summary: StatsSummary | None, at: datetime) -> list[Figure]:
    if summary is None:
        return []
    by_day = {period.starts_at.date(): period for period in summary.over_time}
    today = at.astimezone(UTC).date()
    days = [by_day.get(today - timedelta(days=ago)) for ago in reversed(range(TREND_PERIODS))]
    return [
        _figure("MTTA", [_durations(day, "mtta") for day in days]),
        _figure("MTTR", [_durations(day, "mttr") for day in days]),
    ]


def _durations(period: PeriodSummary | None, name: str) -> Durations | None:
    if period is None:
        return None
    return period.mtta if name == "mtta" else period.mttr


def _figure(name: str, days: Sequence[Durations | None]) -> Figure:
    before, week = _mean(days[:WEEK]), _mean(days[WEEK:])
    number, unit = fmt.figure(week) if week is not None else ("-", "")
    return Figure(
        name=name,
        number=number,
        unit=unit,
        measured=sum(day.count for day in days[WEEK:] if day),
        trend=round(100 * (week - before) / before) if week is not None and before else None,
        spark=sparklines.sparkline([day.mean_seconds if day else None for day in days]),
    )


def _mean(days: Sequence[Durations | None]) -> float | None:
    measured = [(day.count, day.mean_seconds) for day in days if day and day.mean_seconds is not None]
    total = sum(count for count, _ in measured)
    return sum(count * mean for count, mean in measured) / total if total else None


def _pulse(page: Page[Alert] | None, at: datetime) -> Pulse | None:
    if page is None:
        return None
    recent = [alert.created_at for alert in page.items if alert.created_at >= at - PULSE_WINDOW]
    cut_short = page.next_cursor is not None and len(recent) == len(page.items)
    start = min(recent) if cut_short else at - PULSE_WINDOW
    total = f"{len(recent)}+" if cut_short else str(len(recent))
    window = fmt.duration(fmt.since(start, at)) if cut_short else f"{PULSE_WINDOW // timedelta(hours=1)} hours"
    return Pulse(total, start, window, sparklines.pulse(recent, start, at))


def _checks(data: NowData) -> list[HealthCheck]:
    found = [_alerts_check(data.alerts), _paging_check(data), _on_call_check(data.strip)]
    checks = [check for check in found if check is not None]
    if not data.outages.services:
        checks.append(HealthCheck(ok=True, title="All services respond", detail="Each was queried for this page"))
    return checks


def _alerts_check(page: Page[Alert] | None) -> HealthCheck | None:
    if page is None:
        return None
    if not page.items:
        return HealthCheck(ok=False, title="No alert received yet", detail="Point a sender here, or send one by hand")
    last = page.items[0]
    detail = f"Last one from {last.source or label_of(last.integration)}"
    return HealthCheck(ok=True, title="Alerts are received", detail=detail, at=last.created_at)


def _paging_check(data: NowData) -> HealthCheck | None:
    if data.messages is None or data.failed is None:
        return None
    undelivered = [message for message in data.failed.items if message.created_at >= data.at - DAY]
    if undelivered:
        title = f"{fmt.count(len(undelivered), 'message')} could not be delivered in the last 24 hours"
        return HealthCheck(ok=False, title=title, detail=undelivered[0].reason or "", at=undelivered[0].created_at)
    if not data.messages.items:
        detail = "Paging is unproven until the first one"
        return HealthCheck(ok=False, title="No page has been sent yet", detail=detail)
    detail = "Nothing undelivered in the last 24 hours; last message"
    return HealthCheck(ok=True, title="Paging works", detail=detail, at=data.messages.items[0].created_at)


def _on_call_check(strip: Cached[Strip]) -> HealthCheck | None:
    teams = strip.value.teams if strip.value else ()
    if not strip.fresh:
        return None
    if not teams:
        return HealthCheck(ok=False, title="No team has a schedule", detail="Pages go to the catch-all contact")
    without = [team.team for team in teams if team.primary is None]
    if without:
        title = f"Nobody is primary for {fmt.listed(without)}"
        return HealthCheck(ok=False, title=title, detail="Pages go to the next level")
    return HealthCheck(ok=True, title="Someone is on call in every team", detail=fmt.count(len(teams), "team"))


def _paged_since(page: Page[Notification], start: datetime) -> list[Notification]:
    return [item for item in page.items if item.kind is NotificationKind.PAGE and item.created_at >= start]
