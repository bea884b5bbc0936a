"""The sweeper: tells what a crash or an outage left untold."""

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

import structlog
from aiohttp import web

from tocsin.alerts.domain import StoredAlert
from tocsin.alerts.metrics import AlertMetrics
from tocsin.alerts.repository import telling
from tocsin.alerts.settings import Settings
from tocsin.alerts.telling import Teller
from tocsin.kernel.db import Database, autocommit
from tocsin.kernel.errors import RejectedError
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.http_client import Budget
from tocsin.kernel.tracing import TRACING
from tocsin.kernel.workers import Context, worker

log = structlog.get_logger(__name__)
SWEEP: Final = Failpoint("alerts.sweep")
MAX_ALERTS: Final = 500
"""In one batch, when all is well."""
MEASURE_POLLS: Final = 5
"""What waits is measured every so many polls."""


class Sweeper:
    """Tells untold alerts, longest waiting first, in batches that shrink while they fail.

    A small batch spares whoever is just coming back. An alert that incident management refuses is found by halving; it
    waits, and the others go on.
    """

    def __init__(self, db: Database, teller: Teller, metrics: AlertMetrics, settings: Settings) -> None:
        self._db = db
        self._teller = teller
        self._metrics = metrics
        self._settings = settings
        self._limit = MAX_ALERTS
        seconds = settings.lease_seconds / 2
        self._budget = Budget(attempts=1, seconds=seconds, attempt_seconds=seconds)

    async def tick(self, _app: web.Application) -> bool:
        """Tell one batch. Raise UnavailableError where somebody is away: the worker backs off."""
        async with SWEEP(), autocommit(self._db) as cur:
            alerts = await telling.lease_untold(cur, now=None, lease=self._settings.lease_seconds, limit=self._limit)
            ids = [alert.id for alert in alerts]
            trace_contexts = await telling.find_trace_contexts(cur, ids) if TRACING.on else {}
        if not alerts:
            return False
        try:
            await self._tell(alerts, trace_contexts)
        except Exception:
            self._limit = max(1, len(alerts) // 2)
            await self._postpone(alerts, self._settings.poll_seconds)
            raise
        self._limit = min(MAX_ALERTS, self._limit * 2)
        return True

    async def measure(self, _app: web.Application) -> bool:
        """Publish how many alerts wait, and for how long."""
        async with autocommit(self._db) as cur:
            number, seconds = await telling.measure_untold(cur, now=None)
        self._metrics.untold.set(number)
        self._metrics.oldest_untold.set(seconds)
        return False

    async def _tell(self, alerts: Sequence[StoredAlert], trace_contexts: Mapping[UUID, str]) -> None:
        try:
            await self._teller.tell(alerts, self._budget, trace_contexts)
        except RejectedError as exc:
            if len(alerts) > 1:
                middle = len(alerts) // 2
                await self._tell(alerts[:middle], trace_contexts)
                await self._tell(alerts[middle:], trace_contexts)
                return
            log.error("incident management refuses an alert", alert_id=str(alerts[0].id), reason=str(exc))  # noqa: TRY400 - the refusal says it all
            self._metrics.refused.inc()
            await self._postpone(alerts, self._settings.retry_max_seconds)

    async def _postpone(self, alerts: Sequence[StoredAlert], seconds: float) -> None:
        async with autocommit(self._db) as cur:
            await telling.postpone(cur, [alert.id for alert in alerts], now=None, seconds=seconds)


def sweeping(sweeper: Sweeper, settings: Settings) -> tuple[Context, Context]:
    """Return the cleanup contexts that sweep and measure."""
    return (
        worker("sweep_untold_alerts", sweeper.tick, interval=settings.poll_seconds),
        worker("measure_untold_alerts", sweeper.measure, interval=MEASURE_POLLS * settings.poll_seconds),
    )
