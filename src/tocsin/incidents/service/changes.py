"""Open and change incidents on behalf of people."""

from typing import Final
from uuid import UUID

from tocsin.contracts.escalations import StartEscalation, StopEscalation
from tocsin.contracts.incidents import ChangeIncident, EventType, Incident, OpenIncident
from tocsin.incidents.domain.changes import PlannedChange, plan_change
from tocsin.incidents.domain.incident import NewTimelineEntry
from tocsin.incidents.repository import incidents, locking, timeline
from tocsin.incidents.service import Deps
from tocsin.incidents.service.audit import record_changes, record_open
from tocsin.incidents.service.escalations import enqueue_starts, enqueue_stops
from tocsin.incidents.service.incidents import Reference, get_detail, get_id, not_found
from tocsin.kernel.db import Cursor, autocommit, transaction
from tocsin.kernel.errors import StaleError
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.idempotency import replay
from tocsin.kernel.idempotent_request import IdempotentRequest
from tocsin.kernel.ids import new_id

OPEN: Final = Failpoint("incidents.open")
CHANGE: Final = Failpoint("incidents.change")


async def open_incident(
    deps: Deps, given: OpenIncident, *, actor: str, request: IdempotentRequest | None = None
) -> Incident:
    """Open an incident by hand; wait up to `assign_seconds` for on-call to assign it."""
    incident_id = new_id()
    async with OPEN(), transaction(deps.db) as cur:
        opened_before = await replay(cur, request, incident_id)
        if opened_before is not None:
            return await get_detail(cur, opened_before)
        row = await incidents.insert_incident(cur, incident_id, given)
        start = StartEscalation(
            incident_id=incident_id, title=given.title, service=given.service, severity=given.severity, **row
        )
        entries = [NewTimelineEntry(incident_id, EventType.CREATED, actor, "Opened by hand.")]
        if given.assigned_to is not None:
            detail, data = f"Assigned to {given.assigned_to}.", {"to": given.assigned_to}
            entries.append(NewTimelineEntry(incident_id, EventType.ASSIGNED, actor, detail, data))
        await timeline.insert_entries(cur, entries)
        [message_id] = await enqueue_starts(cur, deps.outbox, [start])
        await record_open(cur, incident_id, row["number"], given)
    deps.metrics.created.labels(given.severity).inc()
    deps.notify_channel.notify()
    await deps.outbox.wait_until_delivered(message_id, deps.assign_seconds)
    async with autocommit(deps.db) as cur:
        return await get_detail(cur, incident_id)


async def change_incident(
    deps: Deps,
    reference: Reference,
    wanted: ChangeIncident,
    *,
    actor: str,
    version: int | None = None,
    request: IdempotentRequest | None = None,
) -> Incident:
    """Change an incident. An equal value is a no-op.

    Raise NotFoundError; StaleError if *version* is given and is not the current one; ConflictError for a transition
    that is not allowed.
    """
    async with CHANGE(), transaction(deps.db) as cur:
        incident_id = await get_id(cur, reference)
        change = await _change(cur, deps, incident_id, wanted, actor=actor, version=version, request=request)
        detail = await get_detail(cur, incident_id)
    if change is not None and change.transition is not None:
        deps.metrics.observe(change.transition)
    if change is not None and change.entries:
        deps.notify_channel.notify()
    return detail


async def _change(
    cur: Cursor,
    deps: Deps,
    incident_id: UUID,
    wanted: ChangeIncident,
    *,
    actor: str,
    version: int | None,
    request: IdempotentRequest | None,
) -> PlannedChange | None:
    """Plan and write the change under the row's lock; None for a replayed *request*."""
    incident = (await locking.lock_incidents(cur, [incident_id])).get(incident_id)
    if incident is None:
        raise not_found(incident_id)
    if await replay(cur, request, incident_id) is not None:
        return None
    if version is not None and version != incident.version:
        msg = (
            f"Incident #{incident.number} has changed since you looked at it: it is at version {incident.version}, "
            f"not {version}. Nothing was changed."
        )
        raise StaleError(msg)
    note_id = new_id()
    change = plan_change(incident, wanted, actor=actor, note_id=note_id, now=await locking.select_now(cur))
    if change.entries:
        await _write(cur, deps, change, wanted, actor=actor, note_id=note_id)
    return change


async def _write(
    cur: Cursor, deps: Deps, change: PlannedChange, wanted: ChangeIncident, *, actor: str, note_id: UUID
) -> None:
    incident = change.incident
    await incidents.update_incident(cur, incident)
    if wanted.notes is not None:
        await incidents.insert_note(cur, incident.id, note_id=note_id, text=wanted.notes, author=actor)
    await timeline.insert_entries(cur, change.entries)
    await record_changes(cur, incident, change.entries)
    if change.transition is not None and change.transition.stops_paging:
        await enqueue_stops(cur, deps.outbox, {incident.id: StopEscalation(reason=incident.status, actor=actor)})
