"""An incident as Markdown, for the review that follows it: paste it wherever the team writes."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from tocsin.contracts.incidents import EventType, Incident
from tocsin.web.views import words

SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>#|~!])")
"""What Markdown could take for markup; what a sender wrote is text."""


def review_of(incident: Incident) -> str:
    """Write the facts, the course of things in their order, and room for what is learned."""
    return "\n".join([*_facts(incident), "", "## What happened", "", *_course(incident), "", *_room()]) + "\n"


def _facts(incident: Incident) -> Iterator[str]:
    yield f"# Incident {incident.number}: {plain(incident.title)}"
    yield ""
    yield f"- Severity: {words.SEVERITY_WORDS[incident.severity]}"
    yield f"- Status: {words.STATUS_WORDS[incident.status]}"
    yield f"- Service: {plain(incident.service)}" + (f", of {plain(incident.team)}" if incident.team else "")
    if incident.assigned_to:
        yield f"- Assigned to: {plain(incident.assigned_to)}"
    yield f"- Opened: {_at(incident.created_at)}"
    if incident.acknowledged_at and incident.mtta_seconds is not None:
        yield f"- Answered: {_at(incident.acknowledged_at)}, after {words.lasting(incident.mtta_seconds)}"
    if incident.resolved_at and incident.mttr_seconds is not None:
        yield f"- Resolved: {_at(incident.resolved_at)}, after {words.lasting(incident.mttr_seconds)}"
    yield f"- Alerts: {incident.alerts_total:,}"
    if incident.description:
        yield ""
        yield from _quoted(incident.description)


def _course(incident: Incident) -> Iterator[str]:
    notes = {str(note.id): note.text for note in incident.notes}
    if incident.timeline_cursor:
        yield f"The last {len(incident.timeline)} entries; what was before them is not in here."
        yield ""
    for entry in reversed(incident.timeline):
        note = notes.get(str(entry.data.get("note_id"))) if entry.event_type is EventType.NOTE_ADDED else None
        said = "wrote:" if note is not None else plain(entry.detail)
        yield f"- {_at(entry.created_at)}, **{plain(entry.actor)}**: {said}"
        if note is not None:
            yield ""
            yield from (f"  {line}" for line in _quoted(note))
            yield ""


def _room() -> Iterator[str]:
    yield "## What we learned"
    yield ""
    yield "## What we change"
    yield ""
    yield "- [ ] "


def plain(text: str) -> str:
    """Return *text* as one line that Markdown shows as it is."""
    return SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _quoted(text: str) -> Iterator[str]:
    yield from (f"> {plain(line)}".rstrip() for line in text.splitlines())


def _at(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
