"""What people and other services change: open, patch, report."""

from datetime import datetime
from typing import Final
from uuid import UUID

from tocsin.contracts.incidents import (
    AppendTimelineEntry,
    ChangeIncident,
    EventType,
    Incident,
    OpenIncident,
    TimelineEntry,
)
from tocsin.contracts.oncall import StartEscalation, StopEscalation
from tocsin.incidents.domain.changes import Change, plan_change
from tocsin.incidents.domain.incident import Entry
from tocsin.incidents.repository import incidents, locking, timeline
from tocsin.incidents.service import Desk
from tocsin.incidents.service.escalations import enqueue_starts, enqueue_stops
from tocsin.incidents.service.reading import Reference, absent, get_detail, resolve
from tocsin.kernel.db import Cursor, transaction
from tocsin.kernel.errors import StaleError
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.idempotency import IdempotentRequest, replay
from tocsin.kernel.ids import new_id

OPEN: Final = Failpoint("incidents.open")
CHANGE: Final = Failpoint("incidents.change")
REPORT: Final = Failpoint("incidents.report")


async def open_incident(
    desk: Desk, given: OpenIncident, *, actor: str, claim: IdempotentRequest | None = None, now: datetime | None = None
) -> Incident:
    """Open an incident by hand; wait a moment to hear from on-call whom it is assigned to."""
    incident_id = new_id()
    async with OPEN(), transaction(desk.db) as cur:
        first = await replay(cur, claim, incident_id)
        if first is not None:
            return await get_detail(cur, first)
        row = await incidents.insert_incident(cur, incident_id, given, now=now)
        start = StartEscalation(
            incident_id=incident_id, title=given.title, service=given.service, severity=given.severity, **row
        )
        entries = [Entry(incident_id, EventType.CREATED, actor, "Opened by hand.")]
        if given.assigned_to is not None:
            data = {"to": given.assigned_to}
            entries.append(Entry(incident_id, EventType.ASSIGNED, actor, f"Assigned to {given.assigned_to}.", data))
        await timeline.insert_entries(cur, entries, now=now)
        [message_id] = await enqueue_starts(cur, desk.outbox, [start])
    desk.metrics.created.labels(given.severity).inc()
    desk.doorbell.notify()
    await desk.outbox.settled(message_id, desk.assign_seconds)
    async with transaction(desk.db) as cur:
        return await get_detail(cur, incident_id)


async def change_incident(
    desk: Desk,
    reference: Reference,
    wanted: ChangeIncident,
    *,
    actor: str,
    version: int | None = None,
    claim: IdempotentRequest | None = None,
    now: datetime | None = None,
) -> Incident:
    """Change an incident as *wanted*; what is so already is no change.

    Raise NotFoundError; StaleError where *version* is given and not the present one; ConflictError for a step that is
    not allowed from the present state.
    """
    async with CHANGE(), transaction(desk.db) as cur:
        incident_id = await resolve(cur, reference)
        change = await _change(cur, desk, incident_id, wanted, actor=actor, version=version, claim=claim, now=now)
        detail = await get_detail(cur, incident_id)
    if change is not None and change.step is not None:
        desk.metrics.observe(change.step)
    if change is not None and change.entries:
        desk.doorbell.notify()
    return detail


async def append_report(
    desk: Desk,
    reference: Reference,
    report: AppendTimelineEntry,
    *,
    claim: IdempotentRequest | None = None,
    now: datetime | None = None,
) -> TimelineEntry:
    """Append what another service reports; a repeated event key has no effect and gets the first's entry."""
    entry_id = new_id()
    async with REPORT(), transaction(desk.db) as cur:
        incident_id = await resolve(cur, reference)
        if await replay(cur, claim, entry_id) is None:
            await timeline.insert_report(cur, incident_id, report, entry_id=entry_id, now=now)
        entry = await timeline.find_report(cur, incident_id, report.event_key)
        if entry is None:
            raise absent(incident_id)
    desk.doorbell.notify()
    return entry


async def _change(
    cur: Cursor,
    desk: Desk,
    incident_id: UUID,
    wanted: ChangeIncident,
    *,
    actor: str,
    version: int | None,
    claim: IdempotentRequest | None,
    now: datetime | None,
) -> Change | None:
    """Plan under the row's lock and write; None where the claim says that this was done before."""
    incident = (await locking.lock_incidents(cur, [incident_id])).get(incident_id)
    if incident is None:
        raise absent(incident_id)
    if await replay(cur, claim, incident_id) is not None:
        return None
    if version is not None and version != incident.version:
        msg = (
            f"Incident #{incident.number} has changed since you looked at it: it is at version {incident.version}, "
            f"not {version}. Nothing was changed."
        )
        raise StaleError(msg)
    note_id = new_id()
    at = await locking.select_now(cur, now)
    change = plan_change(incident, wanted, actor=actor, note_id=note_id, now=at)
    if change.entries:
        await _write(cur, desk, change, wanted, actor=actor, note_id=note_id, now=now)
    return change


async def _write(
    cur: Cursor,
    desk: Desk,
    change: Change,
    wanted: ChangeIncident,
    *,
    actor: str,
    note_id: UUID,
    now: datetime | None,
) -> None:
    incident = change.incident
    await incidents.update_incident(cur, incident, now=now)
    if wanted.notes is not None:
        await incidents.insert_note(cur, incident.id, note_id=note_id, text=wanted.notes, author=actor, now=now)
    await timeline.insert_entries(cur, change.entries, now=now)
    if change.step is not None and change.step.stops_paging:
        await enqueue_stops(cur, desk.outbox, {incident.id: StopEscalation(reason=incident.status, actor=actor)})
