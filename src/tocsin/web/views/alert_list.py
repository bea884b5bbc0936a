"""The views of alerts: what came in, what became of it, and why."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from tocsin.contracts.alerts import Alert, AlertAction, AlertDetail, AlertStatus, AlertSummary
from tocsin.contracts.incidents import IncidentSummary
from tocsin.contracts.model import Page
from tocsin.web.lists.filters import ACTIONS, AlertFilter, Fate, Since
from tocsin.web.views import words
from tocsin.web.views.away import Degraded
from tocsin.web.views.chips import Chip

RANGES: Final = {
    Since.HOUR: ("1 h", "the last hour"),
    Since.THREE_HOURS: ("3 h", "the last 3 hours"),
    Since.DAY: ("24 h", "the last 24 hours"),
    Since.WEEK: ("7 d", "the last 7 days"),
}
FATE_WORDS: Final = {
    Fate.NEW: "New incident",
    Fate.ATTACHED: "Attached",
    Fate.WAITING: "Waiting",
    Fate.IGNORED: "Ignored",
}
PILLS: Final = {
    AlertAction.NEW_INCIDENT: ("open", "bell", "New incident"),
    AlertAction.ATTACHED: ("in_progress", "link", "Attached"),
    AlertAction.PENDING: ("wait", "clock", "Waiting"),
    AlertAction.IGNORED: ("mute", "mute", "Ignored"),
    AlertAction.REPEATED: ("mute", "copy", "Repeated"),
    AlertAction.RESOLVED: ("ok", "check", "Recovered"),
}
RECEIVERS: Final = {"generic": "Tocsin's own format", "alertmanager": "Alertmanager"}
RAW_SHOWN: Final = 65_536
"""Characters of a request that its alert's page shows."""


@dataclass(frozen=True, slots=True)
class Treatment:
    """What became of an alert, and why."""

    tone: str
    icon: str
    word: str
    incident: IncidentSummary | None
    """None where it has none, or where incident management cannot say."""
    whys: list[str]
    recovered: str
    """After how long its sender took it back; empty while it fires."""


@dataclass(frozen=True, slots=True)
class Row:
    """One alert."""

    alert: Alert
    sender: str
    treatment: Treatment


@dataclass(frozen=True, slots=True)
class AlertList:
    """All that the page shows."""

    at: datetime
    filter: AlertFilter
    heading: str
    window: str
    """Which time the heading speaks of, and what it leaves out."""
    cut_at: datetime | None
    ranges: list[Chip]
    chips: list[Chip]
    services: list[str]
    rows: list[Row] | None
    """None while alert ingestion is away."""
    incident: IncidentSummary | None
    """The one whose alerts are shown."""
    older: str
    newest: str
    degraded: Degraded


@dataclass(frozen=True, slots=True)
class AlertView:
    """All that one alert's page shows."""

    at: datetime
    alert: AlertDetail
    sender: str
    treatment: Treatment
    raw: str
    cut: bool
    """Only the beginning of the request is shown."""
    degraded: Degraded


@dataclass(frozen=True, slots=True)
class Seen:
    """What the services said."""

    page: Page[Alert] | None
    summary: AlertSummary | None
    incidents: Mapping[UUID, IncidentSummary]


def list_of(seen: Seen, chosen: AlertFilter, degraded: Degraded, at: datetime) -> AlertList:
    """Build the view of the alerts that are *chosen*, as of *at*."""
    page, summary = seen.page, seen.summary
    of_one = seen.incidents.get(chosen.incident) if chosen.incident else None
    services = {alert.service for alert in page.items} if page else set()
    return AlertList(
        at=at,
        filter=chosen,
        heading=_heading_of_one(of_one) if chosen.incident else _heading(summary),
        window="Of any time, newest first." if chosen.incident else _window(summary, chosen),
        cut_at=summary.cut_at if summary and not chosen.incident else None,
        ranges=_ranges(chosen),
        chips=[] if chosen.incident else _chips(summary, chosen),
        services=sorted(services, key=str.casefold),
        rows=[row_of(alert, seen.incidents) for alert in page.items] if page else None,
        incident=of_one,
        older=chosen.but(cursor=page.next_cursor).address if page and page.next_cursor else "",
        newest=chosen.but().address if chosen.cursor else "",
        degraded=degraded,
    )


def alert_of(
    alert: AlertDetail, incidents: Mapping[UUID, IncidentSummary], degraded: Degraded, at: datetime
) -> AlertView:
    """Build the view of one alert with the request that brought it."""
    row = row_of(alert, incidents)
    body = alert.request.body
    return AlertView(
        at=at,
        alert=alert,
        sender=row.sender,
        treatment=row.treatment,
        raw=body[:RAW_SHOWN],
        cut=len(body) > RAW_SHOWN,
        degraded=degraded,
    )


def _heading(summary: AlertSummary | None) -> str:
    if summary is None:
        return "What came in cannot be shown now"
    if not summary.alerts:
        return "No alert came in"
    more = "More than " if summary.cut_at else ""
    came = more + words.count(summary.alerts, "alert")
    if not summary.incidents:
        return f"{came} came in, and opened no incident"
    at_least = "at least " if summary.cut_at else ""
    return f"{came} became {at_least}{words.count(summary.incidents, 'incident')}"


def _heading_of_one(incident: IncidentSummary | None) -> str:
    if incident is None:
        return "Alerts of one incident"
    verb = "belongs" if incident.alert_count == 1 else "belong"
    return f"{words.count(incident.alert_count, 'alert')} {verb} to incident #{incident.number}"


def _window(summary: AlertSummary | None, chosen: AlertFilter) -> str:
    _, window = RANGES.get(chosen.since, ("", f"the last {chosen.since}"))
    reports = ""
    if summary is not None and summary.reports > summary.alerts:
        reports = f" They were reported {summary.reports:,} times in all."
    return f"In {window}.{reports} Each says what became of it, and why."


def _ranges(chosen: AlertFilter) -> list[Chip]:
    here = chosen.but()
    return [
        Chip(word, chosen.but(since=since).address, None, current=chosen.but(since=since) == here)
        for since, (word, _) in RANGES.items()
    ]


def _chips(summary: AlertSummary | None, chosen: AlertFilter) -> list[Chip]:
    counts = summary.by_action if summary else {}
    total = summary.alerts if summary else None
    return [
        Chip("All", chosen.but(fate=None).address, total, current=chosen.fate is None),
        *(
            Chip(
                word,
                chosen.but(fate=fate).address,
                counts.get(ACTIONS[fate], 0) if summary else None,
                current=chosen.fate is fate,
            )
            for fate, word in FATE_WORDS.items()
        ),
    ]


def row_of(alert: Alert, incidents: Mapping[UUID, IncidentSummary]) -> Row:
    """Say of one alert who sent it and what became of it."""
    incident = incidents.get(alert.incident_id) if alert.incident_id else None
    tone, icon, word = PILLS[alert.action]
    recovered = ""
    if alert.status is AlertStatus.RESOLVED and alert.resolved_at and alert.action is not AlertAction.IGNORED:
        recovered = words.lasting(words.since(alert.created_at, alert.resolved_at))
    sender = alert.source or RECEIVERS.get(alert.receiver, alert.receiver)
    return Row(alert, sender, Treatment(tone, icon, word, incident, _whys(alert, incident), recovered))


def _whys(alert: Alert, incident: IncidentSummary | None) -> list[str]:
    whys = {
        AlertAction.NEW_INCIDENT: f"nothing was open for {alert.service} at this severity",
        AlertAction.ATTACHED: "same service and severity",
        AlertAction.PENDING: "incident management has not answered yet, and is told again until it has",
        AlertAction.IGNORED: "its sender took back what never fired",
    }
    why = whys.get(alert.action, "")
    if incident is not None and alert.action is AlertAction.ATTACHED:
        why += f", {words.ticking(words.since(incident.created_at, alert.created_at))} after it opened"
    if incident is not None and alert.action is AlertAction.NEW_INCIDENT and incident.assigned_to:
        why += f"; assigned to {incident.assigned_to}"
    again = f"reported {alert.occurrences:,} times under one key" if alert.occurrences > 1 else ""
    return [part for part in (why, again, alert.remark or "") if part]
