"""An incident as Markdown, to paste into a postmortem."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from tocsin.contracts.incidents import MAX_MOVED_ALERTS, EventType, Incident
from tocsin.web.ui import format as fmt

SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>#|~!])")
"""Characters with a meaning in Markdown; a sender's text is escaped."""


def postmortem_of(incident: Incident) -> str:
    """Return the facts, the timeline in chronological order, and empty sections to fill in."""
    return "\n".join([*_facts(incident), "", "## What happened", "", *_events(incident), "", *_sections()]) + "\n"


def _facts(incident: Incident) -> Iterator[str]:
    yield f"# Incident {incident.number}: {plain(incident.title)}"
    yield ""
    yield f"- Severity: {fmt.SEVERITY_LABELS[incident.severity]}"
    yield f"- Status: {fmt.STATUS_LABELS[incident.status]}"
    yield f"- Service: {plain(incident.service)}" + (f", of {plain(incident.team)}" if incident.team else "")
    if incident.assigned_to:
        yield f"- Assigned to: {plain(incident.assigned_to)}"
    yield f"- Opened: {_at(incident.created_at)}"
    if incident.was_acknowledged and incident.acknowledged_at and incident.mtta_seconds is not None:
        yield f"- Acknowledged: {_at(incident.acknowledged_at)}, after {fmt.duration(incident.mtta_seconds)}"
    if incident.resolved_at and incident.mttr_seconds is not None:
        yield f"- Resolved: {_at(incident.resolved_at)}, after {fmt.duration(incident.mttr_seconds)}"
    yield f"- Alerts: {incident.alerts_total:,}"
    if incident.moved_alerts:
        numbers = ", ".join(
            f"#{number}" for number in sorted({alert.moved_to_number for alert in incident.moved_alerts})
        )
        yield f"- Still firing after this was resolved, moved to {numbers}: {moved_count(incident)}"
    if incident.description:
        yield ""
        yield from _quoted(incident.description)


def _events(incident: Incident) -> Iterator[str]:
    notes = {str(note.id): note.text for note in incident.notes}
    if incident.timeline_cursor:
        yield f"The last {len(incident.timeline)} entries; older ones are left out."
        yield ""
    for entry in reversed(incident.timeline):
        note = notes.get(str(entry.data.get("note_id"))) if entry.event_type is EventType.NOTE_ADDED else None
        text = "wrote:" if note is not None else plain(entry.detail)
        yield f"- {_at(entry.created_at)}, **{plain(entry.actor)}**: {text}"
        if note is not None:
            yield ""
            yield from (f"  {line}" for line in _quoted(note))
            yield ""


def _sections() -> Iterator[str]:
    yield "## What we learned"
    yield ""
    yield "## What we change"
    yield ""
    yield "- [ ] "


def moved_count(incident: Incident) -> str:
    """Return how many alerts of *incident* moved, such as `100+`."""
    moved = len(incident.moved_alerts)
    return f"{moved}+" if moved == MAX_MOVED_ALERTS else str(moved)


def incidents_moved_to(incident: Incident) -> list[int]:
    """Return the numbers of the incidents to which alerts of *incident* moved."""
    return sorted({alert.moved_to_number for alert in incident.moved_alerts})


def plain(text: str) -> str:
    """Return *text* as one line that Markdown shows verbatim."""
    return SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _quoted(text: str) -> Iterator[str]:
    yield from (f"> {plain(line)}".rstrip() for line in text.splitlines())


def _at(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
