"""The view of the list of alerts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from tocsin.contracts.alerts import Alert, AlertAction, AlertSummary
from tocsin.contracts.incidents import IncidentSummary
from tocsin.contracts.model import Page
from tocsin.integrations import INTEGRATIONS
from tocsin.web.pages.alerts.filter import AlertFilter
from tocsin.web.ui import format as fmt
from tocsin.web.ui.alert_outcomes import AlertRow, alert_row
from tocsin.web.ui.chips import Chip
from tocsin.web.ui.empty_state import EmptyState
from tocsin.web.ui.filters import Since
from tocsin.web.ui.outages import Outages
from tocsin.web.ui.pagination import PageLinks, page_links

RANGES: Final = {
    Since.HOUR: ("1 h", "the last hour"),
    Since.THREE_HOURS: ("3 h", "the last 3 hours"),
    Since.DAY: ("24 h", "the last 24 hours"),
    Since.WEEK: ("7 d", "the last 7 days"),
}
ACTION_LABELS: Final = {
    AlertAction.NEW_INCIDENT: "New incident",
    AlertAction.ATTACHED: "Attached",
    AlertAction.PENDING: "Pending",
    AlertAction.IGNORED: "Ignored",
}


@dataclass(frozen=True, slots=True)
class AlertsData:
    """What the services returned; None where one is unavailable."""

    at: datetime
    filter: AlertFilter
    page: Page[Alert] | None
    summary: AlertSummary | None
    incidents: Mapping[UUID, IncidentSummary]
    outages: Outages


@dataclass(frozen=True, slots=True)
class AlertsView:
    """All that the page shows."""

    at: datetime
    filter: AlertFilter
    heading: str
    window: str
    """The time that the heading is about, and what it leaves out."""
    cut_at: datetime | None
    ranges: list[Chip]
    chips: list[Chip]
    services: list[str]
    senders: list[tuple[str, str]]
    """The names and labels of the integrations to choose from."""
    rows: list[AlertRow] | None
    """None while alert ingestion is unavailable."""
    empty: EmptyState
    """What is shown if there is no row."""
    incident: IncidentSummary | None
    """The one whose alerts are shown."""
    links: PageLinks
    outages: Outages


def alerts_view(data: AlertsData) -> AlertsView:
    """Return the page's view of *data*."""
    page, summary, chosen = data.page, data.summary, data.filter
    incident = data.incidents.get(chosen.incident) if chosen.incident else None
    services = {alert.service for alert in page.items} if page else set()
    return AlertsView(
        at=data.at,
        filter=chosen,
        heading=_incident_heading(incident) if chosen.incident else _heading(summary),
        window="Of any age, newest first." if chosen.incident else _window(summary, chosen),
        cut_at=summary.cut_at if summary and not chosen.incident else None,
        ranges=_ranges(chosen),
        chips=[] if chosen.incident else _chips(summary, chosen),
        services=sorted(services, key=str.casefold),
        senders=[("", "Any sender"), *((name, sender.label) for name, sender in INTEGRATIONS.items())],
        rows=[alert_row(alert, data.incidents) for alert in page.items] if page else None,
        empty=_empty(chosen),
        incident=incident,
        links=page_links(chosen, page),
        outages=data.outages,
    )


def _heading(summary: AlertSummary | None) -> str:
    if summary is None:
        return "Alerts cannot be shown right now"
    if not summary.alerts:
        return "No alert was received"
    more = "More than " if summary.cut_at else ""
    received = more + fmt.count(summary.alerts, "alert")
    if not summary.incidents:
        return f"{received}, in no incident"
    at_least = "at least " if summary.cut_at else ""
    return f"{received}, in {at_least}{fmt.count(summary.incidents, 'incident')}"


def _incident_heading(incident: IncidentSummary | None) -> str:
    if incident is None:
        return "Alerts of one incident"
    verb = "belongs" if incident.alert_count == 1 else "belong"
    return f"{fmt.count(incident.alert_count, 'alert')} {verb} to incident #{incident.number}"


def _window(summary: AlertSummary | None, chosen: AlertFilter) -> str:
    _, window = RANGES.get(chosen.since, ("", f"the last {chosen.since}"))
    reports = ""
    if summary is not None and summary.reports > summary.alerts:
        reports = f" They were reported {summary.reports:,} times in all."
    return f"In {window}.{reports} Each row shows the outcome of the alert, and why."


def _empty(chosen: AlertFilter) -> EmptyState:
    everything = AlertFilter(incident=chosen.incident, since=chosen.since)
    longer = (
        [("Show the last 7 days", chosen.with_filters(since=Since.WEEK).address)]
        if chosen.since is not Since.WEEK
        else []
    )
    if chosen.cursor:
        return EmptyState("There are no older alerts.", [("Show the newest", chosen.with_filters().address)])
    if chosen.incident:
        if chosen != everything:
            return EmptyState(
                "No alert matches this filter.", [("Show all alerts of this incident", everything.address)]
            )
        return EmptyState(
            "No alert belongs to this incident.", [("Show the incident", f"/incidents/{chosen.incident}")]
        )
    if chosen == everything:
        _, window = RANGES.get(chosen.since, ("", f"the last {chosen.since}"))
        links = [*longer, ("Connect a sender", "/handbook/api.md#alerts")]
        return EmptyState(f"No alert was received in {window}.", links)
    return EmptyState("No alert matches this filter.", [("Show all alerts", everything.address), *longer])


def _ranges(chosen: AlertFilter) -> list[Chip]:
    here = chosen.with_filters()
    filters = {label: chosen.with_filters(since=since) for since, (label, _) in RANGES.items()}
    return [Chip(label, filter_.address, None, current=filter_ == here) for label, filter_ in filters.items()]


def _chips(summary: AlertSummary | None, chosen: AlertFilter) -> list[Chip]:
    def chip(label: str, action: AlertAction | None, count: int | None) -> Chip:
        return Chip(label, chosen.with_filters(action=action).address, count, current=chosen.action is action)

    counts = summary.by_action if summary else {}
    return [
        chip("All", None, summary.alerts if summary else None),
        *(chip(label, action, counts.get(action, 0) if summary else None) for action, label in ACTION_LABELS.items()),
    ]
