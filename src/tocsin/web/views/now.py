"""The view of Now: what rings, what is worked on, who is on call, how we do."""

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
from tocsin.web.views import charts, words
from tocsin.web.views.answer import Answer
from tocsin.web.views.away import Degraded
from tocsin.web.views.paging import Fuse, Paging, paging_of

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
class Seen:
    """What the services answered; None where one is away and nothing is remembered of it."""

    ringing: Page[IncidentSummary] | None
    acknowledged: Page[IncidentSummary] | None
    in_progress: Page[IncidentSummary] | None
    resolved: Page[IncidentSummary] | None
    escalations: Answer[dict[UUID, Escalation]]
    strip: Answer[Strip]
    summary: StatsSummary | None
    alerts: Page[Alert] | None
    messages: Page[Notification] | None
    dead: Page[Notification] | None


@dataclass(frozen=True, slots=True)
class Ring:
    """An incident that nobody has answered."""

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
    """Per cent; below zero is faster."""
    spark: charts.Spark | None


@dataclass(frozen=True, slots=True)
class Pulse:
    """How many alerts came in, over time."""

    total: str
    since: datetime
    lasting: str
    bars: list[charts.Bar]


@dataclass(frozen=True, slots=True)
class Proof:
    """One reason to believe that quiet is quiet; not *ok* is a reason to look."""

    ok: bool
    title: str
    detail: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Now:
    """All that the page shows."""

    at: datetime
    known: bool
    """Whether incident management answered."""
    quiet: bool
    rings: list[Ring]
    waiting: str
    next_pages: list[tuple[Ring, Fuse]]
    working: list[IncidentSummary]
    resolved: list[IncidentSummary]
    last_resolved: IncidentSummary | None
    tally: dict[IncidentStatus, str]
    strip: Answer[Strip]
    fuses_fresh: bool
    figures: list[Figure]
    pulse: Pulse | None
    proofs: list[Proof]
    nobody_paged: bool
    """Whether no page went out for a day."""
    degraded: Degraded


def now_of(seen: Seen, degraded: Degraded, at: datetime) -> Now:
    """Build the view of what was *seen*, as of *at*."""
    rings = _rings(seen, at)
    working = sorted(
        [*_items(seen.acknowledged), *_items(seen.in_progress)], key=lambda incident: incident.created_at, reverse=True
    )
    ended = sorted(_items(seen.resolved), key=lambda incident: incident.resolved_at or at, reverse=True)
    resolved = [incident for incident in ended if incident.resolved_at and incident.resolved_at >= at - DAY]
    known = not any(page is None for page in (seen.ringing, seen.acknowledged, seen.in_progress))
    burning = [(ring, ring.paging.fuse) for ring in rings if ring.paging is not None and ring.paging.fuse is not None]
    return Now(
        at=at,
        known=known,
        quiet=known and not rings and not working,
        rings=rings,
        waiting=_number(seen.ringing),
        next_pages=sorted(burning, key=lambda item: item[1].at)[:2],
        working=working[:SHOWN],
        resolved=resolved[:SHOWN_RESOLVED],
        last_resolved=ended[0] if ended else None,
        tally=_tally(seen, len(resolved)),
        strip=seen.strip,
        fuses_fresh=seen.escalations.fresh,
        figures=_figures(seen.summary, at),
        pulse=_pulse(seen.alerts, at),
        proofs=_proofs(seen, degraded, at),
        nobody_paged=seen.messages is not None and not any(_paged_since(seen.messages, at - DAY)),
        degraded=degraded,
    )


def _items(page: Page[IncidentSummary] | None) -> list[IncidentSummary]:
    return page.items if page is not None else []


def _number(page: Page[IncidentSummary] | None) -> str:
    if page is None:
        return "?"
    return f"{len(page.items)}+" if page.next_cursor else str(len(page.items))


def _rings(seen: Seen, at: datetime) -> list[Ring]:
    escalations = seen.escalations.value or {}
    worst_first = sorted(_items(seen.ringing), key=lambda incident: (RANK[incident.severity], incident.created_at))
    return [_ring(incident, escalations.get(incident.id), at) for incident in worst_first[:SHOWN]]


def _ring(incident: IncidentSummary, escalation: Escalation | None, at: datetime) -> Ring:
    return Ring(incident, words.since(incident.created_at, at), paging_of(escalation, at) if escalation else None)


def _tally(seen: Seen, resolved: int) -> dict[IncidentStatus, str]:
    full = seen.resolved is not None and seen.resolved.next_cursor is not None and resolved == len(seen.resolved.items)
    return {
        IncidentStatus.OPEN: _number(seen.ringing),
        IncidentStatus.ACKNOWLEDGED: _number(seen.acknowledged),
        IncidentStatus.IN_PROGRESS: _number(seen.in_progress),
        IncidentStatus.RESOLVED: "?" if seen.resolved is None else f"{resolved}+" if full else str(resolved),
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
    number, unit = words.figure(week) if week is not None else ("-", "")
    return Figure(
        name=name,
        number=number,
        unit=unit,
        measured=sum(day.count for day in days[WEEK:] if day),
        trend=round(100 * (week - before) / before) if week is not None and before else None,
        spark=charts.spark([day.mean_seconds if day else None for day in days]),
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
    lasting = words.lasting(words.since(start, at)) if cut_short else f"{PULSE_WINDOW // timedelta(hours=1)} hours"
    return Pulse(total, start, lasting, charts.pulse(recent, start, at))


def _proofs(seen: Seen, degraded: Degraded, at: datetime) -> list[Proof]:
    found = [_alerts_proof(seen.alerts), _paging_proof(seen.messages, seen.dead, at), _on_call_proof(seen)]
    proofs = [proof for proof in found if proof is not None]
    if not degraded.away:
        proofs.append(Proof(ok=True, title="All services answer", detail="Each was asked for this page"))
    return proofs


def _alerts_proof(page: Page[Alert] | None) -> Proof | None:
    if page is None:
        return None
    if not page.items:
        return Proof(ok=False, title="No alert has come in yet", detail="Point a sender here, or send one by hand")
    last = page.items[0]
    return Proof(
        ok=True, title="Alerts come in", detail=f"Last one from {last.source or last.receiver}", at=last.created_at
    )


def _paging_proof(messages: Page[Notification] | None, dead: Page[Notification] | None, at: datetime) -> Proof | None:
    if messages is None or dead is None:
        return None
    undelivered = [message for message in dead.items if message.created_at >= at - DAY]
    if undelivered:
        title = f"{words.count(len(undelivered), 'message')} could not be delivered in the last 24 hours"
        return Proof(ok=False, title=title, detail=undelivered[0].reason or "", at=undelivered[0].created_at)
    if not messages.items:
        return Proof(ok=False, title="No page has gone out yet", detail="Paging is not proven until the first one")
    last = messages.items[0].created_at
    return Proof(
        ok=True, title="Paging works", detail="Nothing undelivered in the last 24 hours; last message", at=last
    )


def _on_call_proof(seen: Seen) -> Proof | None:
    teams = seen.strip.value.teams if seen.strip.value else ()
    if not seen.strip.fresh:
        return None
    if not teams:
        return Proof(ok=False, title="No team has a schedule", detail="Pages go to the catch-all contact")
    without = [team.team for team in teams if team.primary is None]
    if without:
        return Proof(
            ok=False, title=f"Nobody is primary for {words.listed(without)}", detail="Pages pass to the next level"
        )
    return Proof(ok=True, title="Someone is on call in every team", detail=words.count(len(teams), "team"))


def _paged_since(page: Page[Notification], start: datetime) -> list[Notification]:
    return [item for item in page.items if item.kind is NotificationKind.PAGE and item.created_at >= start]
