"""Correlate: take a batch of alerts' states and say which incident each belongs to."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog

from tocsin.contracts.incidents import AlertState, CorrelateAlerts, Correlations
from tocsin.contracts.oncall import StartEscalation, StopEscalation
from tocsin.incidents.domain.correlation import Link, Plan, Slot, Touched, plan_batch
from tocsin.incidents.domain.rollups import AUTO_RESOLVE, roll_up
from tocsin.incidents.repository import correlation, locking, timeline
from tocsin.incidents.service import Desk
from tocsin.incidents.service.escalations import enqueue_starts, enqueue_stops
from tocsin.kernel.db import Cursor, transaction
from tocsin.kernel.errors import LockTimeoutError
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.ids import new_id

log = structlog.get_logger(__name__)
CORRELATE: Final = Failpoint("incidents.correlate")
NOTHING: Final = Plan([], [], [], [], [])
ENDED: Final = StopEscalation(reason="resolved", actor=AUTO_RESOLVE)


async def correlate(desk: Desk, batch: CorrelateAlerts, *, now: datetime | None = None) -> Correlations:
    """Attach, open, update and resolve for the whole batch in one transaction.

    Idempotent for each alert and version: a repeat changes nothing and is answered as the first was. Alerts whose slot
    or incident another transaction holds for long are left out of the answer, so that the others need not wait for it;
    whoever told them tells them again.
    """
    if not batch.alerts:
        return Correlations(results=[])
    try:
        plan = await _correlate(desk, batch.alerts, now=now, free_only=False)
    except LockTimeoutError:
        log.warning("what somebody holds is left out of a batch", alerts=len(batch.alerts))
        plan = await _correlate(desk, batch.alerts, now=now, free_only=True)
    for item in plan.opened:
        desk.metrics.created.labels(item.incident.severity).inc()
    for item in plan.touched():
        if item.step is not None:
            desk.metrics.observe(item.step)
    if plan.opened or plan.changed:
        desk.doorbell.notify()
    return Correlations.model_construct(results=plan.results)


async def _correlate(desk: Desk, alerts: Sequence[AlertState], *, now: datetime | None, free_only: bool) -> Plan:
    async with CORRELATE(), transaction(desk.db) as cur:
        plan = await _decide(cur, desk, alerts, now=now, free_only=free_only)
        await _write(cur, desk, plan, now=now)
    return plan


async def _decide(
    cur: Cursor, desk: Desk, alerts: Sequence[AlertState], *, now: datetime | None, free_only: bool
) -> Plan:
    slots = {(alert.service, alert.severity) for alert in alerts}
    if free_only:
        slots = await correlation.lock_free_slots(cur, slots, seconds=desk.lock_seconds)
        alerts = [alert for alert in alerts if (alert.service, alert.severity) in slots]
        if not alerts:
            return NOTHING
    else:
        await correlation.lock_slots(cur, slots, seconds=desk.lock_seconds)
    # Only now: the same alert told twice at once is known to whoever comes second.
    links = await correlation.select_links(cur, [alert.alert_id for alert in alerts])
    candidates, at = await correlation.find_candidates(cur, slots, now=now, window=desk.window)
    wanted = {link.incident_id for link in links.values()} | set(candidates.values())
    incidents = await locking.lock_incidents(cur, wanted, free_only=free_only)
    if free_only:
        held = wanted - incidents.keys()
        alerts = [alert for alert in alerts if not _needs(alert, links, candidates) & held]
    return plan_batch(
        alerts,
        links=links,
        incidents=incidents,
        candidates=candidates,
        now=at,
        window=desk.window,
        auto_resolve=desk.auto_resolve,
        new_id=new_id,
    )


def _needs(alert: AlertState, links: Mapping[UUID, Link], candidates: Mapping[Slot, UUID]) -> set[UUID]:
    """Return the incidents that *alert* may change."""
    slot = (alert.service, alert.severity)
    known = {links[alert.alert_id].incident_id} if alert.alert_id in links else set[UUID]()
    return known | ({candidates[slot]} if slot in candidates else set())


async def _write(cur: Cursor, desk: Desk, plan: Plan, *, now: datetime | None) -> None:
    if plan.opened:
        numbers = await correlation.insert_opened(cur, plan.opened)
        lasting = [item for item in plan.opened if item.step is None]
        # A batch has the alerts of many senders: each goes on with the trace of the one who opened it.
        trace_contexts = [item.attached[0].trace_context for item in lasting]
        starts = [_start(item, numbers) for item in lasting]
        await enqueue_starts(cur, desk.outbox, starts, trace_contexts=trace_contexts)
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
