"""Correlate: take a batch of alerts' states and say which incident each belongs to."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from tocsin.contracts.incidents import CorrelateAlerts, Correlations
from tocsin.contracts.oncall import StartEscalation, StopEscalation
from tocsin.incidents.domain.correlation import Plan, Touched, plan_batch
from tocsin.incidents.domain.rollups import AUTO_RESOLVE, roll_up
from tocsin.incidents.repository import correlation, locking, timeline
from tocsin.incidents.service import Desk
from tocsin.incidents.service.escalations import enqueue_starts, enqueue_stops
from tocsin.kernel.db import Cursor, transaction
from tocsin.kernel.faults import FaultPoint
from tocsin.kernel.ids import new_id

CORRELATE: Final = FaultPoint("incidents.correlate")
ENDED: Final = StopEscalation(reason="resolved", actor=AUTO_RESOLVE)


async def correlate(desk: Desk, batch: CorrelateAlerts, *, now: datetime | None = None) -> Correlations:
    """Attach, open, update and resolve for the whole batch in one transaction.

    Idempotent for each alert and version: a repeat changes nothing and is answered as the first was.
    """
    if not batch.alerts:
        return Correlations(results=[])
    async with CORRELATE(), transaction(desk.db) as cur:
        plan = await _decide(cur, desk, batch, now=now)
        await _write(cur, desk, plan, now=now)
    for item in plan.opened:
        desk.metrics.created.labels(item.incident.severity).inc()
    for item in plan.touched():
        if item.step is not None:
            desk.metrics.observe(item.step)
    if plan.opened or plan.changed:
        desk.doorbell.ring()
    return Correlations.model_construct(results=plan.results)


async def _decide(cur: Cursor, desk: Desk, batch: CorrelateAlerts, *, now: datetime | None) -> Plan:
    slots = {(alert.service, alert.severity) for alert in batch.alerts}
    await correlation.lock_slots(cur, slots)
    # Only now: the same alert told twice at once is known to whoever comes second.
    links = await correlation.select_links(cur, [alert.alert_id for alert in batch.alerts])
    candidates, at = await correlation.find_candidates(cur, slots, now=now, window=desk.window)
    incidents = await locking.lock_incidents(
        cur, {link.incident_id for link in links.values()} | set(candidates.values())
    )
    return plan_batch(
        batch.alerts,
        links=links,
        incidents=incidents,
        candidates=candidates,
        now=at,
        window=desk.window,
        auto_resolve=desk.auto_resolve,
        new_id=new_id,
    )


async def _write(cur: Cursor, desk: Desk, plan: Plan, *, now: datetime | None) -> None:
    if plan.opened:
        numbers = await correlation.insert_opened(cur, plan.opened)
        await enqueue_starts(cur, desk.outbox, [_start(item, numbers) for item in plan.opened if item.step is None])
    if plan.changed:
        await correlation.update_counts(cur, plan.changed, now=now)
        ended = [item.incident.id for item in plan.changed if item.step is not None]
        await enqueue_stops(cur, desk.outbox, dict.fromkeys(ended, ENDED))
    if plan.new_links:
        await correlation.insert_links(cur, plan.new_links, now=now)
    if plan.known_links:
        await correlation.update_links(cur, plan.known_links, now=now)
    entries = [entry for item in plan.touched() for entry in roll_up(item, desk.window)]
    await timeline.insert_entries(cur, entries, now=now)


def _start(item: Touched, numbers: Mapping[UUID, int]) -> StartEscalation:
    incident = item.incident
    return StartEscalation(
        incident_id=incident.id,
        number=numbers[incident.id],
        title=incident.title,
        service=incident.service,
        severity=incident.severity,
        created_at=incident.created_at,
    )
