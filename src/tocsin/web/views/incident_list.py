"""The view of the list of incidents."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tocsin.contracts.escalations import Escalation
from tocsin.contracts.incidents import IncidentCounts, IncidentStatus, IncidentSummary
from tocsin.contracts.model import Page
from tocsin.contracts.oncall import Schedule
from tocsin.web.lists.filters import ME, SPANS, IncidentFilter, SavedFilter, Since, Stage
from tocsin.web.views import words
from tocsin.web.views.answer import Answer
from tocsin.web.views.away import Degraded
from tocsin.web.views.chips import Chip
from tocsin.web.views.paging import Fuse, paging_of

STAGE_WORDS = {
    Stage.UNRESOLVED: "Not resolved",
    Stage.OPEN: "Open",
    Stage.ACKNOWLEDGED: "Acknowledged",
    Stage.IN_PROGRESS: "In progress",
    Stage.RESOLVED: "Resolved",
    Stage.ANY: "Any status",
}
SINCE_WORDS = {Since.DAY: "Last 24 hours", Since.WEEK: "Last 7 days", Since.MONTH: "Last 30 days"}


@dataclass(frozen=True, slots=True)
class Row:
    """One incident."""

    incident: IncidentSummary
    fuse: Fuse | None
    """Only while it is open, and on-call says when the next page is."""


@dataclass(frozen=True, slots=True)
class Extra:
    """A filter that has no field of its own on the page, with the address of the list without it."""

    word: str
    name: str
    value: str
    without: str


@dataclass(frozen=True, slots=True)
class IncidentList:
    """All that the page shows."""

    at: datetime
    filter: IncidentFilter
    standing: str
    """How many are not resolved, in words."""
    chips: list[Chip]
    saved: str
    """The name under which this list is saved; empty where it is not."""
    suggested: str
    """A name for it."""
    extras: list[Extra]
    teams: list[str]
    rows: list[Row] | None
    """None while incident management is away."""
    nameless: bool
    """What is mine was asked for, and nobody has said who I am."""
    fuses_fresh: bool
    older: str
    newest: str
    """Addresses; empty where there is no such page."""
    degraded: Degraded

    @property
    def can_act(self) -> bool:
        """Say whether anything here can be acknowledged or resolved."""
        return any(row.incident.status is not IncidentStatus.RESOLVED for row in self.rows or ())


@dataclass(frozen=True, slots=True)
class Seen:
    """What the services said."""

    page: Page[IncidentSummary] | None
    counts: IncidentCounts | None
    mine: IncidentCounts | None
    escalations: Answer[dict[UUID, Escalation]]
    schedules: Answer[Page[Schedule]]


def list_of(
    seen: Seen, chosen: IncidentFilter, *, saved: Sequence[SavedFilter], me: str, degraded: Degraded, at: datetime
) -> IncidentList:
    """Build the view of the incidents that are *chosen*, for *me* (empty where nobody said), as of *at*."""
    page = seen.page
    schedules = seen.schedules.value
    teams = {schedule.team for schedule in schedules.items} if schedules else set()
    return IncidentList(
        at=at,
        filter=chosen,
        standing=_standing(seen.counts),
        chips=_chips(seen, chosen, saved, me),
        saved=next((item.name for item in saved if item.filter == chosen.but()), ""),
        suggested=_suggested(chosen),
        extras=_extras(chosen, me),
        teams=sorted(teams | ({chosen.team} if chosen.team else set()), key=str.casefold),
        rows=[_row(incident, seen.escalations.value or {}, at) for incident in page.items] if page else None,
        nameless=chosen.assigned == ME and not me,
        fuses_fresh=seen.escalations.fresh,
        older=chosen.but(cursor=page.next_cursor).address if page and page.next_cursor else "",
        newest=chosen.but().address if chosen.cursor else "",
        degraded=degraded,
    )


def _standing(counts: IncidentCounts | None) -> str:
    if counts is None:
        return "How many are not resolved cannot be said now."
    total = counts.open + counts.acknowledged + counts.in_progress
    if not total:
        return "Every incident is resolved."
    if total == counts.open == 1:
        return "1 is not resolved, and waits for an answer."
    waiting = "None of them waits"
    if counts.open:
        waiting = f"{counts.open:,} of them {'waits' if counts.open == 1 else 'wait'}"
    if total == counts.open:
        waiting = "All of them wait"
    return f"{total:,} {'is' if total == 1 else 'are'} not resolved. {waiting} for an answer."


def _chips(seen: Seen, chosen: IncidentFilter, saved: Sequence[SavedFilter], me: str) -> list[Chip]:
    here = chosen.but()

    def chip(word: str, filter_: IncidentFilter, count: int | None = None) -> Chip:
        return Chip(word, filter_.address, count, current=filter_ == here)

    counts = seen.counts
    chips = [
        chip("Not resolved", IncidentFilter(), _total(counts)),
        chip("Waiting for an answer", IncidentFilter(status=Stage.OPEN), counts.open if counts else None),
    ]
    if me:
        chips.append(chip("Mine", IncidentFilter(assigned=ME), _total(seen.mine)))
    chips += [chip(item.name, item.filter) for item in saved]
    return [*chips, chip("All", IncidentFilter(status=Stage.ANY))]


def _total(counts: IncidentCounts | None) -> int | None:
    return counts.open + counts.acknowledged + counts.in_progress if counts else None


def _suggested(chosen: IncidentFilter) -> str:
    parts = [
        chosen.q,
        words.SEVERITY_WORDS[chosen.severity] if chosen.severity else "",
        chosen.team,
        chosen.service,
        {"": "", ME: "mine"}.get(chosen.assigned, chosen.assigned),
        STAGE_WORDS[chosen.status].lower() if chosen.status is not Stage.ANY else "",
        words.lasting(SPANS[chosen.since].total_seconds()).removesuffix(" 0 h") if chosen.since else "",
    ]
    return words.cut(", ".join(part for part in parts if part) or "All", 40)


def _extras(chosen: IncidentFilter, me: str) -> list[Extra]:
    extras = []
    if chosen.service:
        extras.append(Extra("Service", "service", chosen.service, chosen.but(service="").address))
    if chosen.assigned:
        name = me or "me" if chosen.assigned == ME else chosen.assigned
        extras.append(Extra("Assigned to", "assigned", name, chosen.but(assigned="").address))
    return extras


def _row(incident: IncidentSummary, escalations: Mapping[UUID, Escalation], at: datetime) -> Row:
    escalation = escalations.get(incident.id)
    ringing = incident.status is IncidentStatus.OPEN and escalation is not None
    return Row(incident, paging_of(escalation, at).fuse if ringing and escalation else None)
