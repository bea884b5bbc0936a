"""What the audit keeps of people's changes to incidents."""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from tocsin.contracts.audit import AuditAction
from tocsin.contracts.incidents import EventType, OpenIncident
from tocsin.incidents.domain.incident import NewTimelineEntry, StoredIncident
from tocsin.kernel import audit
from tocsin.kernel.audit_entry import Subject
from tocsin.kernel.db import Cursor

FIELDS: Final = {
    EventType.ACKNOWLEDGED: (AuditAction.INCIDENT_ACKNOWLEDGE, "status"),
    EventType.STATUS_CHANGED: (AuditAction.INCIDENT_START, "status"),
    EventType.RESOLVED: (AuditAction.INCIDENT_RESOLVE, "status"),
    EventType.TITLE_CHANGED: (AuditAction.INCIDENT_CHANGE, "title"),
    EventType.SEVERITY_CHANGED: (AuditAction.INCIDENT_CHANGE, "severity"),
    EventType.ASSIGNED: (AuditAction.INCIDENT_CHANGE, "assigned_to"),
}
"""The action and the field of each kind of timeline entry that a change writes, but for notes."""


async def record_open(cur: Cursor, incident_id: UUID, number: int, given: OpenIncident) -> None:
    """Record that an incident was opened by hand."""
    after = given.model_dump(mode="json", include={"title", "service", "severity", "assigned_to"})
    subject = Subject("incident", incident_id, f"#{number} {given.title}")
    await audit.record(cur, AuditAction.INCIDENT_OPEN, subject, after=after)


async def record_changes(cur: Cursor, incident: StoredIncident, entries: Iterable[NewTimelineEntry]) -> None:
    """Record a change of an incident, which has written these timeline entries."""
    subject = Subject("incident", incident.id, f"#{incident.number} {incident.title}")
    for entry in entries:
        if entry.event_type is EventType.NOTE_ADDED:
            await audit.record(cur, AuditAction.INCIDENT_NOTE, subject, after=entry.data)
            continue
        action, field = FIELDS[entry.event_type]
        before, after = {field: entry.data.get("from")}, {field: entry.data.get("to")}
        await audit.record(cur, action, subject, before=before, after=after)
