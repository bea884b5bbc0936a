"""The view of the list of incidents."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from tocsin.contracts.escalations import Escalation
from tocsin.contracts.incidents import IncidentCounts, IncidentSort, IncidentStatus, IncidentSummary
from tocsin.contracts.model import Page
from tocsin.contracts.oncall import Schedule
from tocsin.web.pages.incidents.filter import ME, IncidentFilter, SavedFilter, StatusFilter
from tocsin.web.ui import format as fmt
from tocsin.web.ui.cached import Cached
from tocsin.web.ui.chips import Chip
from tocsin.web.ui.empty_state import EmptyState
from tocsin.web.ui.escalation_progress import NextPage, paging_of
from tocsin.web.ui.filters import SPANS, Since
from tocsin.web.ui.outages import Outages
from tocsin.web.ui.pagination import PageLinks, page_links

STATUS_FILTER_LABELS: Final = {
    StatusFilter.UNRESOLVED: "Not resolved",
    StatusFilter.OPEN: "Open",
    StatusFilter.ACKNOWLEDGED: "Acknowledged",
    StatusFilter.IN_PROGRESS: "In progress",
    StatusFilter.RESOLVED: "Resolved",
    StatusFilter.ANY: "Any status",
}
SORT_LABELS: Final = {IncidentSort.SEVERITY: "Most severe", IncidentSort.NEWEST: "Newest"}
SINCE_LABELS: Final = {Since.DAY: "Last 24 hours", Since.WEEK: "Last 7 days", Since.MONTH: "Last 30 days"}


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """One incident."""

    incident: IncidentSummary
    next_page: NextPage | None
    """Only while it is open, and a next page is known."""


@dataclass(frozen=True, slots=True)
class HiddenFilter:
    """A filter that has no form field on the page, with the address of the list without it."""

    label: str
    name: str
    value: str
    without: str


@dataclass(frozen=True, slots=True)
class IncidentsView:
    """All that the page shows."""

    at: datetime
    filter: IncidentFilter
    summary: str
    """How many are not resolved."""
    orders: list[Chip]
    order: str
    """The present order, such as `newest first`."""
    chips: list[Chip]
    saved_as: str
    """The name under which this filter is saved; empty if it is not."""
    suggested_name: str
    hidden_filters: list[HiddenFilter]
    teams: list[str]
    rows: list[IncidentRow] | None
    """None while incident management is unavailable."""
    empty: EmptyState
    """What is shown if there is no row."""
    paging_fresh: bool
    links: PageLinks
    outages: Outages

    @property
    def can_act(self) -> bool:
        """Whether any row can be acknowledged or resolved."""
        return any(row.incident.status is not IncidentStatus.RESOLVED for row in self.rows or ())


@dataclass(frozen=True, slots=True)
class IncidentsData:
    """What the services returned; None where one is unavailable."""

    at: datetime
    filter: IncidentFilter
    saved: Sequence[SavedFilter]
    me: str
    """The visitor's name; empty if it is not known."""
    page: Page[IncidentSummary] | None
    counts: IncidentCounts | None
    own_counts: IncidentCounts | None
    """Of the incidents assigned to the visitor."""
    escalations: Cached[dict[UUID, Escalation]]
    schedules: Cached[Page[Schedule]]
    outages: Outages


def incidents_view(data: IncidentsData) -> IncidentsView:
    """Return the page's view of *data*."""
    page, chosen = data.page, data.filter
    schedules = data.schedules.value
    teams = {schedule.team for schedule in schedules.items} if schedules else set()
    return IncidentsView(
        at=data.at,
        filter=chosen,
        summary=_summary(data.counts),
        orders=_orders(chosen),
        order=_order(chosen),
        chips=_chips(data),
        saved_as=next((item.name for item in data.saved if item.filter == chosen.with_filters()), ""),
        suggested_name=_suggested_name(chosen),
        hidden_filters=_hidden_filters(chosen, data.me),
        teams=sorted(teams | ({chosen.team} if chosen.team else set()), key=str.casefold),
        rows=[_row(incident, data.escalations.value or {}, data.at) for incident in page.items] if page else None,
        empty=_empty(data),
        paging_fresh=data.escalations.fresh,
        links=page_links(chosen, page),
        outages=data.outages,
    )


def _summary(counts: IncidentCounts | None) -> str:
    if counts is None:
        return "The number of unresolved incidents is not known right now."
    total = counts.open + counts.acknowledged + counts.in_progress
    if not total:
        return "No unresolved incident."
    incidents_are = fmt.count(total, "incident is", "incidents are")
    if total == counts.open:
        return f"{incidents_are} open and unacknowledged."
    if not counts.open:
        return f"{incidents_are} not resolved; {'it is' if total == 1 else 'all are'} acknowledged."
    return f"{incidents_are} not resolved; {fmt.count(counts.open, 'is', 'are')} unacknowledged."


def _order(chosen: IncidentFilter) -> str:
    return f"{SORT_LABELS[chosen.sort].lower()} first"


def _orders(chosen: IncidentFilter) -> list[Chip]:
    return [
        Chip(label, chosen.with_filters(sort=sort).address, None, current=sort is chosen.sort)
        for sort, label in SORT_LABELS.items()
    ]


def _empty(data: IncidentsData) -> EmptyState:
    chosen = data.filter
    every = IncidentFilter(status=StatusFilter.ANY, sort=chosen.sort)
    if chosen.assigned == ME and not data.me:
        return EmptyState("Enter your name in the menu at the top to see what is assigned to you.")
    if chosen.cursor:
        return EmptyState("There are no more incidents.", [("Show the first page", chosen.with_filters().address)])
    if chosen == every:
        links = [("Connect a sender of alerts", "/handbook/api.md#alerts"), ("Open one by hand", "/incidents/new")]
        return EmptyState("No incident yet: an alert opens the first.", links)
    if chosen == IncidentFilter(sort=chosen.sort):
        return EmptyState("No unresolved incident.", [("Show all incidents", every.address)])
    return EmptyState("No incident matches this filter.", [("Show all incidents", every.address)])


def _chips(data: IncidentsData) -> list[Chip]:
    here, sort = data.filter.with_filters(), data.filter.sort

    def chip(label: str, filter_: IncidentFilter, count: int | None = None) -> Chip:
        return Chip(label, filter_.address, count, current=filter_ == here)

    counts = data.counts
    chips = [
        chip("Not resolved", IncidentFilter(sort=sort), _total(counts)),
        chip("Unacknowledged", IncidentFilter(status=StatusFilter.OPEN, sort=sort), counts.open if counts else None),
    ]
    if data.me:
        chips.append(chip("Mine", IncidentFilter(assigned=ME, sort=sort), _total(data.own_counts)))
    chips += [chip(item.name, item.filter) for item in data.saved]
    return [*chips, chip("All", IncidentFilter(status=StatusFilter.ANY, sort=sort))]


def _total(counts: IncidentCounts | None) -> int | None:
    return counts.open + counts.acknowledged + counts.in_progress if counts else None


def _suggested_name(chosen: IncidentFilter) -> str:
    parts = [
        chosen.q,
        fmt.SEVERITY_LABELS[chosen.severity] if chosen.severity else "",
        chosen.team,
        chosen.service,
        {"": "", ME: "mine"}.get(chosen.assigned, chosen.assigned),
        STATUS_FILTER_LABELS[chosen.status].lower() if chosen.status is not StatusFilter.ANY else "",
        fmt.duration(SPANS[chosen.since].total_seconds()).removesuffix(" 0 h") if chosen.since else "",
        _order(chosen) if chosen.sort is not IncidentFilter().sort else "",
    ]
    return fmt.cut(", ".join(part for part in parts if part) or "All", 40)


def _hidden_filters(chosen: IncidentFilter, me: str) -> list[HiddenFilter]:
    found = []
    if chosen.service:
        found.append(HiddenFilter("Service", "service", chosen.service, chosen.with_filters(service="").address))
    if chosen.assigned:
        name = me or "me" if chosen.assigned == ME else chosen.assigned
        found.append(HiddenFilter("Assigned to", "assigned", name, chosen.with_filters(assigned="").address))
    return found


def _row(incident: IncidentSummary, escalations: Mapping[UUID, Escalation], at: datetime) -> IncidentRow:
    escalation = escalations.get(incident.id) if incident.status is IncidentStatus.OPEN else None
    return IncidentRow(incident, paging_of(escalation, at).next_page if escalation else None)
