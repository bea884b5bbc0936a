"""Escalations: queue their start and stop, record on-call's confirmation, and reconcile what is missing."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final, TypeAlias
from uuid import UUID

import structlog
from pydantic import BaseModel

from tocsin.contracts.escalations import Escalation, StartEscalation, StopEscalation
from tocsin.contracts.incidents import EventType
from tocsin.contracts.services import ONCALL_SERVICE
from tocsin.incidents.domain.incident import NewTimelineEntry
from tocsin.incidents.repository import escalations
from tocsin.incidents.service import Deps
from tocsin.kernel.db import Cursor, autocommit, transaction
from tocsin.kernel.errors import RejectedError
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.http_client import ONCE
from tocsin.kernel.ids import new_id
from tocsin.kernel.outbox import Outbox

log = structlog.get_logger(__name__)
OutboxRow: TypeAlias = tuple[UUID, str, BaseModel]
START: Final = "start_escalation"
STOP: Final = "stop_escalation"
BATCH_SIZE: Final = 100
COMPARED: Final = 1_000
"""How many escalations are compared with one request."""
NO_ENDPOINT: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED})
"""Responses of an oncall-service of the release before, which cannot compare escalations."""
QUERY: Final = Failpoint("incidents.query_escalations")
RESTART: Final = Failpoint("incidents.restart_escalations")


async def enqueue_starts(
    cur: Cursor,
    outbox: Outbox,
    starts: Sequence[StartEscalation],
    *,
    trace_contexts: Sequence[str | None] | None = None,
) -> list[UUID]:
    """Queue the start of escalations; return the messages' ids.

    The caller's transaction has inserted or locked the incidents. *trace_contexts* has the trace that each message
    continues, by default the current one.
    """
    rows: list[OutboxRow] = [(new_id(), str(start.incident_id), start) for start in starts]
    if rows:
        await outbox.enqueue_many(cur, kind=START, rows=rows, trace_contexts=trace_contexts)
    return [message_id for message_id, _, _ in rows]


async def enqueue_stops(cur: Cursor, outbox: Outbox, stops: Mapping[UUID, StopEscalation]) -> None:
    """Queue the stop of escalations. The caller's transaction has locked the incidents."""
    rows: list[OutboxRow] = [(new_id(), str(incident_id), stop) for incident_id, stop in stops.items()]
    if rows:
        await outbox.enqueue_many(cur, kind=STOP, rows=rows)


async def confirm(cur: Cursor, incident_id: UUID, escalation: Escalation) -> None:
    """Record that on-call has *escalation*, and the assignee that it gives the incident.

    One that is stopped confirms nothing: somebody stopped it before its start arrived.
    """
    detail = f"Assigned to {escalation.assigned_to}, first on call of {escalation.team}."
    data = {"to": escalation.assigned_to, "team": escalation.team, "reason": escalation.team_reason}
    assignment = NewTimelineEntry(incident_id, EventType.ASSIGNED, ONCALL_SERVICE, detail, data)
    await escalations.confirm_escalation(
        cur, assignment, team=escalation.team, assigned_to=escalation.assigned_to, running=escalation.stopped_at is None
    )


async def withdraw_unfounded(deps: Deps) -> int:
    """Withdraw the confirmation of each escalation that on-call has stopped or lost, and return their number.

    Only an acknowledged incident may have a stopped escalation. Whatever has stopped one, `reconcile` finds the
    incident from then on, counts it and resumes paging. Raise UpstreamError.
    """
    withdrawn = 0
    last: escalations.ConfirmedIncident | None = None
    while True:
        async with autocommit(deps.db) as cur:
            incidents = await escalations.find_confirmed(cur, after=last, limit=COMPARED)
        if not incidents:
            return withdrawn
        last = incidents[-1]
        try:
            response = await deps.oncall.running([item.id for item in incidents], idempotency_key=str(new_id()))
        except RejectedError as exc:
            if exc.status not in NO_ENDPOINT:
                raise
            log.info("escalations not compared", reason=str(exc))
            return withdrawn
        stopped = {item.id for item in incidents}.difference(response.incident_ids)
        if stopped:
            async with autocommit(deps.db) as cur:
                withdrawn += await escalations.withdraw_confirmations(cur, stopped)


async def reconcile(deps: Deps, *, older_than: float) -> bool:
    """Find incidents without a confirmed escalation, query on-call for theirs, and start or resume the missing ones.

    *older_than* is the minimum age of the incidents in seconds. The gauge is set before the query, so that it is
    correct while on-call is unavailable. Return whether there may be more incidents. Raise UpstreamError.
    """
    async with autocommit(deps.db) as cur:
        found, count = await escalations.find_unescalated(cur, older_than=older_than, limit=BATCH_SIZE)
    deps.metrics.unescalated.set(count)
    if not found:
        return False
    log.warning("incidents without an escalation", count=count)
    async with QUERY():
        response = await deps.oncall.escalations(found, budget=ONCE)
    known = {item.incident_id: item for item in response.items if item.team is not None and item.stopped_at is None}
    async with RESTART(), transaction(deps.db) as cur:
        for incident_id, escalation in known.items():
            await confirm(cur, incident_id, escalation)
        missing = await escalations.lock_unescalated(cur, set(found) - known.keys())
        queued = await escalations.unpark_starts(cur, [start.incident_id for start in missing])
        await enqueue_starts(cur, deps.outbox, [start for start in missing if start.incident_id not in queued])
    deps.notify_channel.notify()
    return len(found) == BATCH_SIZE
