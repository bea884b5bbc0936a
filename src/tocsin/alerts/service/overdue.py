"""Forward the alerts whose first forwarding failed or was interrupted by a crash."""

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

import structlog

from tocsin.alerts.domain import StoredAlert
from tocsin.alerts.repository import forwarding
from tocsin.alerts.service import Deps
from tocsin.alerts.settings import Settings
from tocsin.kernel import clock, randomness
from tocsin.kernel.db import autocommit
from tocsin.kernel.errors import RejectedError
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.pace import Pace
from tocsin.kernel.tracing import TRACING
from tocsin.kernel.workers import Retries

log = structlog.get_logger(__name__)
LEASE: Final = Failpoint("alerts.lease_overdue")
MAX_ALERTS: Final = 500
"""The maximum number of alerts in one batch; it follows the latency of the calls."""
MIN_ALERTS: Final = 50
"""The maximum number of alerts in one batch while calls are slow."""


def new_pace(settings: Settings) -> Pace:
    """Return the pace of the worker's calls, each of which ends well before the lease of its alerts."""
    seconds = settings.lease_seconds / 2
    return Pace(MAX_ALERTS, MIN_ALERTS, target_seconds=seconds / 4, min_timeout=seconds, max_timeout=seconds)


async def forward_overdue(deps: Deps, pace: Pace, retries: Retries) -> bool | float:
    """Forward one batch of overdue alerts, oldest first.

    Return True if there were any; otherwise the seconds until the first of *retries*, or False without one.
    An alert that incident management rejects is found by halving the batch, and postponed; the others are forwarded.
    Raise UnavailableError if incident management or the database is unavailable.
    """
    settings = deps.settings
    retries.drop_due()
    expires = clock.monotonic() + settings.lease_seconds
    async with LEASE(), autocommit(deps.db) as cur:
        alerts = await forwarding.lease_overdue(cur, lease=settings.lease_seconds, limit=pace.size)
        ids = [alert.id for alert in alerts]
        trace_contexts = await forwarding.find_trace_contexts(cur, ids) if TRACING.on else {}
    if not alerts:
        return retries.seconds_left()
    started = clock.monotonic()
    try:
        await _forward(deps, alerts, trace_contexts, expires=expires)
    except Exception:
        pace.failed(len(alerts))
        retries.add(await _postpone(deps, alerts, settings.poll_seconds, expires=expires))
        raise
    pace.succeeded(len(alerts), clock.monotonic() - started)
    return True


async def measure_unforwarded(deps: Deps) -> None:
    """Set the gauges of alerts that are not forwarded yet."""
    async with autocommit(deps.db) as cur:
        number, seconds = await forwarding.measure_unforwarded(cur)
    deps.metrics.unforwarded.set(number)
    deps.metrics.oldest_unforwarded.set(seconds)


async def _forward(
    deps: Deps, alerts: Sequence[StoredAlert], trace_contexts: Mapping[UUID, str], *, expires: float
) -> None:
    try:
        await deps.correlator.forward(alerts, trace_contexts, seconds=deps.settings.lease_seconds / 2)
    except RejectedError as exc:
        if len(alerts) > 1:
            middle = len(alerts) // 2
            await _forward(deps, alerts[:middle], trace_contexts, expires=expires)
            await _forward(deps, alerts[middle:], trace_contexts, expires=expires)
            return
        log.error("incident-management rejected an alert", alert_id=str(alerts[0].id), reason=str(exc))  # noqa: TRY400 - a rejection needs no traceback
        deps.metrics.refused.inc()
        await _postpone(deps, alerts, deps.settings.rejected_retry_seconds, expires=expires)


async def _postpone(deps: Deps, alerts: Sequence[StoredAlert], seconds: float, *, expires: float) -> float:
    """Delay the next attempt to forward *alerts* by *seconds*, randomly up to twice that; return the delay."""
    due = clock.monotonic() + randomness.uniform(seconds, 2 * seconds)

    async def write() -> float:
        left = max(0.0, due - clock.monotonic())
        async with autocommit(deps.db) as cur:
            await forwarding.postpone(cur, [alert.id for alert in alerts], seconds=left)
        return left

    return await deps.recorder.record(write, expires=expires)
