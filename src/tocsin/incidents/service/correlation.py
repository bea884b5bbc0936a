"""Correlate a batch of alerts with incidents."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

import structlog

from tocsin.contracts.escalations import StartEscalation, StopEscalation
from tocsin.contracts.incidents import AlertState, CorrelateAlerts, Correlations
from tocsin.contracts.services import AUTO_RESOLVE
from tocsin.incidents.domain.correlation import BatchPlan, IncidentDelta, KnownState, plan_batch
from tocsin.incidents.domain.timeline_entries import timeline_entries
from tocsin.incidents.repository import correlation, timeline
from tocsin.incidents.service import TIMELINE_ENTRIES, Deps
from tocsin.incidents.service.escalations import enqueue_starts, enqueue_stops
from tocsin.kernel import tasks
from tocsin.kernel.db import Cursor, transaction
from tocsin.kernel.errors import LockTimeoutError, OverloadedError
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.ids import new_id

log = structlog.get_logger(__name__)
CORRELATE: Final = Failpoint("incidents.correlate")
SLOT_SECONDS: Final = 1.0
"""How long a batch waits until others have been correlated: less than its sender waits for the response, so that no
batch is correlated whose sender has given up."""
EMPTY_PLAN: Final = BatchPlan([], [], [], [], [])
AUTO_RESOLVED: Final = StopEscalation(reason="resolved", actor=AUTO_RESOLVE)


@asynccontextmanager
async def _slot(deps: Deps) -> AsyncIterator[None]:
    """Limit the batches that are correlated at a time. Raise OverloadedError after SLOT_SECONDS."""
    try:
        async with tasks.timeout(SLOT_SECONDS):
            await deps.correlate_slots.acquire()
    except TimeoutError:
        msg = "More alerts arrive than can be correlated; try again in a moment."
        raise OverloadedError(msg, retry_after=1) from None
    try:
        yield
    finally:
        deps.correlate_slots.release()


async def correlate(deps: Deps, batch: CorrelateAlerts) -> Correlations:
    """Attach the alerts of a batch to incidents, and open, update and resolve incidents, in one transaction.

    Idempotent per alert and version: a retry changes nothing and returns the first result. Alerts whose correlation key
    or incident stays locked by another transaction are left out of the results, so that they do not delay the others;
    the sender reports them again. Raise OverloadedError while too many batches are being correlated.
    """
    if not batch.alerts:
        return Correlations(results=[])
    async with _slot(deps):
        try:
            plan = await _correlate(deps, batch.alerts, free_only=False)
        except LockTimeoutError:
            log.warning("lock time-out: retrying the batch without its blocked alerts", batch_alerts=len(batch.alerts))
            plan = await _correlate(deps, batch.alerts, free_only=True)
    for delta in plan.opened:
        deps.metrics.created.labels(delta.incident.severity).inc()
    for delta in plan.deltas():
        if delta.transition is not None:
            deps.metrics.observe(delta.transition)
    if plan.opened or any(delta.transition is not None for delta in plan.changed):
        deps.notify_channel.notify()
    elif plan.changed:
        deps.notify_channel.notify(TIMELINE_ENTRIES)
    return Correlations.model_construct(results=plan.results)


async def _correlate(deps: Deps, alerts: Sequence[AlertState], *, free_only: bool) -> BatchPlan:
    async with CORRELATE(), transaction(deps.db) as cur:
        plan = await _plan(cur, deps, alerts, free_only=free_only)
        await _write(cur, deps, plan)
    return plan


async def _plan(cur: Cursor, deps: Deps, alerts: Sequence[AlertState], *, free_only: bool) -> BatchPlan:
    keys = {(alert.service, alert.severity) for alert in alerts}
    if free_only:
        keys = await correlation.lock_free_correlation_keys(cur, keys, seconds=deps.lock_seconds)
        alerts = [alert for alert in alerts if (alert.service, alert.severity) in keys]
        if not alerts:
            return EMPTY_PLAN
    else:
        await correlation.lock_correlation_keys(cur, keys, seconds=deps.lock_seconds)
    # Read after the lock: of two simultaneous reports of one alert, the second sees the first one's link.
    known = await correlation.lock_known(
        cur, keys, [alert.alert_id for alert in alerts], window=deps.window, free_only=free_only
    )
    if free_only:
        alerts = [alert for alert in alerts if _incidents_of(alert, known) <= known.incidents.keys()]
    return plan_batch(
        alerts,
        links=known.links,
        incidents=known.incidents,
        joinable=known.joinable,
        now=known.now,
        window=deps.window,
        auto_resolve=deps.auto_resolve,
        new_id=new_id,
    )


def _incidents_of(alert: AlertState, known: KnownState) -> set[UUID]:
    """Return the incidents that *alert* may change."""
    link = known.links.get(alert.alert_id)
    joinable = known.joinable.get((alert.service, alert.severity))
    return ({link.incident_id} if link else set()) | ({joinable} if joinable else set())


async def _write(cur: Cursor, deps: Deps, plan: BatchPlan) -> None:
    if plan.opened:
        numbers = await correlation.insert_incidents(cur, plan.opened)
        unresolved = [delta for delta in plan.opened if delta.transition is None]
        # A batch has the alerts of many senders: each escalation continues the trace of the alert that opened it.
        trace_contexts = [delta.attached[0].trace_context for delta in unresolved]
        starts = [_start(delta, numbers) for delta in unresolved]
        await enqueue_starts(cur, deps.outbox, starts, trace_contexts=trace_contexts)
    if plan.changed:
        await correlation.update_counts(cur, plan.changed)
        resolved = [delta.incident.id for delta in plan.changed if delta.transition is not None]
        await enqueue_stops(cur, deps.outbox, dict.fromkeys(resolved, AUTO_RESOLVED))
    if plan.new_links:
        await correlation.insert_links(cur, plan.new_links)
    if moves := plan.moves():
        await correlation.insert_moved(cur, moves)
    if plan.known_links:
        await correlation.update_links(cur, plan.known_links)
    entries = [entry for delta in plan.deltas() for entry in timeline_entries(delta, deps.window)]
    await timeline.insert_entries(cur, entries)


def _start(delta: IncidentDelta, numbers: Mapping[UUID, int]) -> StartEscalation:
    incident = delta.incident
    return StartEscalation(
        incident_id=incident.id,
        number=numbers[incident.id],
        title=incident.title,
        service=incident.service,
        severity=incident.severity,
        created_at=incident.created_at,
    )
