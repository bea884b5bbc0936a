"""Paging: on-call is told of what opens and what is answered, and asked about what it may have missed."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, TypeAlias
from uuid import UUID

import structlog
from pydantic import BaseModel

from tocsin.clients.oncall import OnCallClient
from tocsin.contracts.incidents import EventType
from tocsin.contracts.oncall import Escalation, StartEscalation, StopEscalation
from tocsin.incidents.domain.incident import Entry
from tocsin.incidents.repository import escalations, timeline
from tocsin.incidents.service import Desk
from tocsin.kernel.db import Cursor, transaction
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.http_client import ONCE
from tocsin.kernel.ids import new_id
from tocsin.kernel.outbox import AfterDelivery, Handler, Outbox, OutboxMessage

log = structlog.get_logger(__name__)
OutboxRow: TypeAlias = tuple[UUID, str, BaseModel]
START: Final = "start_escalation"
STOP: Final = "stop_escalation"
ACTOR: Final = "oncall-service"
ASKED_AT_ONCE: Final = 100
START_ESCALATION: Final = Failpoint("incidents.start_escalation")
STOP_ESCALATION: Final = Failpoint("incidents.stop_escalation")
ASK: Final = Failpoint("incidents.ask_escalations")
RESTART: Final = Failpoint("incidents.restart_escalations")


async def enqueue_starts(
    cur: Cursor,
    outbox: Outbox,
    starts: Sequence[StartEscalation],
    *,
    trace_contexts: Sequence[str | None] | None = None,
) -> list[UUID]:
    """Have on-call page for incidents, each locked or new in the caller's transaction; return the messages' ids.

    *trace_contexts* has the trace that each goes on with, where that is not the current one.
    """
    rows: list[OutboxRow] = [(new_id(), str(start.incident_id), start) for start in starts]
    if rows:
        await outbox.enqueue_many(cur, kind=START, rows=rows, trace_contexts=trace_contexts)
    return [message_id for message_id, _, _ in rows]


async def enqueue_stops(cur: Cursor, outbox: Outbox, stops: Mapping[UUID, StopEscalation]) -> None:
    """Have on-call page no more for incidents, each locked in the caller's transaction."""
    rows: list[OutboxRow] = [(new_id(), str(incident_id), stop) for incident_id, stop in stops.items()]
    if rows:
        await outbox.enqueue_many(cur, kind=STOP, rows=rows)


def handlers(oncall: OnCallClient) -> Mapping[str, Handler]:
    """Return what delivers the outbox."""

    async def start(message: OutboxMessage) -> AfterDelivery:
        async with START_ESCALATION():
            escalation = await oncall.start(message.body, idempotency_key=str(message.message_id))

        async def confirm(cur: Cursor) -> None:
            await _confirm(cur, UUID(message.key), escalation, now=None)

        return confirm

    async def stop(message: OutboxMessage) -> None:
        async with STOP_ESCALATION():
            await oncall.stop(UUID(message.key), message.body, idempotency_key=str(message.message_id))

    return {START: start, STOP: stop}


async def reconcile(desk: Desk, oncall: OnCallClient, *, older_than: float, now: datetime | None = None) -> bool:
    """Find incidents that nobody is or will be paged for, ask on-call about them, and start what it does not have.

    Export their number first: it is seen while on-call is away, too. Return whether all that were asked about were
    put right and there may be more. Raise UpstreamError while on-call is away.
    """
    async with transaction(desk.db) as cur:
        found, count = await escalations.find_unescalated(cur, older_than=older_than, limit=ASKED_AT_ONCE, now=now)
    desk.metrics.unescalated.set(count)
    if not found:
        return False
    log.warning("incidents without an escalation", count=count)
    async with ASK():
        answer = await oncall.escalations(found, budget=ONCE)
    known = {item.incident_id: item for item in answer.items if item.team is not None}
    async with RESTART(), transaction(desk.db) as cur:
        for incident_id, escalation in known.items():
            await _confirm(cur, incident_id, escalation, now=now)
        missing = await escalations.lock_unescalated(cur, set(found) - known.keys())
        pending = await escalations.unpark_starts(cur, [start.incident_id for start in missing], now=now)
        await enqueue_starts(cur, desk.outbox, [start for start in missing if start.incident_id not in pending])
    desk.doorbell.notify()
    return len(found) == ASKED_AT_ONCE


async def _confirm(cur: Cursor, incident_id: UUID, escalation: Escalation, *, now: datetime | None) -> None:
    assigned = await escalations.confirm_escalation(
        cur, incident_id, team=escalation.team, assigned_to=escalation.assigned_to, now=now
    )
    if assigned:
        detail = f"Assigned to {escalation.assigned_to}, first on call of {escalation.team}."
        data = {"to": escalation.assigned_to, "team": escalation.team, "reason": escalation.team_reason}
        await timeline.insert_entries(cur, [Entry(incident_id, EventType.ASSIGNED, ACTOR, detail, data)], now=now)
