"""Telling incident management: one call for all alerts that were stored while the last ones ran."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import structlog
from aiohttp import web

from tocsin.alerts.domain import Report, StoredAlert, newest_states, result_of
from tocsin.alerts.metrics import RESULT_OF, AlertMetrics
from tocsin.alerts.repository import telling
from tocsin.alerts.settings import Settings
from tocsin.clients.incidents import IncidentsClient
from tocsin.contracts.incidents import AlertState, CorrelateAlerts, Correlation
from tocsin.integrations.integration import IngestResult
from tocsin.kernel import clock
from tocsin.kernel.db import Database, autocommit
from tocsin.kernel.errors import DomainError, UpstreamError
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.http_client import Budget
from tocsin.kernel.ids import new_id
from tocsin.kernel.request_id import REQUEST_ID
from tocsin.kernel.tasks import create_task
from tocsin.kernel.tracing import TRACING

log = structlog.get_logger(__name__)
TELL: Final = Failpoint("alerts.tell")
LINK: Final = Failpoint("alerts.link")
MAX_ALERTS: Final = 200
"""Alerts in one call."""
CALLS: Final = 2
"""At once: while incident management works on one, the links of the other are written and its senders answered."""
FAILURES: Final = 3
"""In a row: then the breaker opens."""


@dataclass(slots=True)
class Breaker:
    """Spares senders the waiting for somebody who does not answer."""

    seconds: float
    failures: int = 0
    open_until: float = 0.0

    def allows(self) -> bool:
        """Say whether to try. Once *seconds* are over, tries are let through until one fails."""
        return clock.monotonic() >= self.open_until

    def succeeded(self) -> None:
        """Close."""
        self.failures = 0

    def failed(self) -> None:
        """Open after the third failure in a row, and after each further one."""
        self.failures += 1
        if self.failures >= FAILURES:
            self.open_until = clock.monotonic() + self.seconds


@dataclass(slots=True, eq=False)
class Waiting:
    """A stored request whose sender waits for its answer."""

    reports: Sequence[Report]
    answer: asyncio.Future[list[IngestResult]]
    request_id: str = field(default_factory=REQUEST_ID.get)
    trace_context: str | None = None


class Teller:
    """Tells what was stored, links what was told, and answers who waits for it."""

    def __init__(self, db: Database, incidents: IncidentsClient, metrics: AlertMetrics, settings: Settings) -> None:
        self._db = db
        self._incidents = incidents
        self._metrics = metrics
        self._breaker = Breaker(settings.breaker_seconds)
        seconds = settings.correlate_timeout_seconds
        self._live = Budget(attempts=1, seconds=seconds, attempt_seconds=seconds)
        self._waiting: deque[Waiting] = deque()
        self._running: set[asyncio.Task[None]] = set()

    def hand_over(self, stored: Iterable[Waiting]) -> None:
        """Tell what was *stored*, at once or with the next call, and answer. Nobody waits for that here."""
        self._waiting.extend(stored)
        self._running = {task for task in self._running if not task.done()}
        if self._waiting and len(self._running) < CALLS:
            self._running.add(create_task(self._run(), name="tell"))

    async def context(self, _app: web.Application) -> AsyncIterator[None]:
        """Let what is running end at the end (a cleanup context)."""
        yield
        await asyncio.gather(*self._running)

    async def tell(
        self, alerts: Sequence[StoredAlert], budget: Budget, trace_contexts: Mapping[UUID, str]
    ) -> dict[UUID, Correlation]:
        """Tell incident management how *alerts* stand, and link them to their incidents.

        *trace_contexts* has the traces that brought them: the first is gone on with, the others are linked to it.
        Raise UpstreamError where it does not answer, RejectedError where it refuses, DatabaseUnavailableError where the
        links cannot be written: then the alerts are told again, which changes nothing.
        """
        traced = [trace_contexts[alert.id] for alert in alerts if alert.id in trace_contexts] if trace_contexts else []
        if not traced:
            return await self._tell(alerts, budget, trace_contexts)
        first, *others = traced
        with TRACING.span("tell alerts", parent=first, links=others, tocsin__alerts=len(alerts)):
            return await self._tell(alerts, budget, trace_contexts)

    async def _tell(
        self, alerts: Sequence[StoredAlert], budget: Budget, trace_contexts: Mapping[UUID, str]
    ) -> dict[UUID, Correlation]:
        states = [_state(alert, trace_contexts.get(alert.id)) for alert in alerts]
        batch = CorrelateAlerts.model_construct(alerts=states)
        with self._metrics.stage.labels("tell").time():
            async with TELL():
                answer = await self._incidents.correlate(batch, idempotency_key=str(new_id()), budget=budget)
        told = {correlation.alert_id: correlation for correlation in answer.results}
        pairs = [(alert, told[alert.id]) for alert in alerts if alert.id in told]
        with self._metrics.stage.labels("link").time():
            async with LINK(), autocommit(self._db) as cur:
                await telling.link_alerts(cur, pairs)
        for alert, correlation in pairs:
            result = RESULT_OF.get(correlation.action)
            if result is not None and alert.incident_id != correlation.incident_id:
                self._metrics.correlated.labels(result).inc()
        return told

    async def _run(self) -> None:
        while self._waiting:
            batch = self._take()
            alone = len(batch) == 1
            REQUEST_ID.set(batch[0].request_id if alone else f"batch-{new_id()}")
            told = await self._told(
                newest_states(report for waiting in batch for report in waiting.reports),
                _trace_contexts(batch) if TRACING.on else {},
            )
            for waiting in batch:
                if not waiting.answer.done():
                    waiting.answer.set_result([result_of(report, told) for report in waiting.reports])

    def _take(self) -> list[Waiting]:
        batch = [self._waiting.popleft()]
        alerts = len(batch[0].reports)
        while self._waiting and alerts + len(self._waiting[0].reports) <= MAX_ALERTS:
            batch.append(self._waiting.popleft())
            alerts += len(batch[-1].reports)
        return batch

    async def _told(self, alerts: Sequence[StoredAlert], trace_contexts: Mapping[UUID, str]) -> dict[UUID, Correlation]:
        """Return where incident management put *alerts*; without what it could not say in time."""
        told: dict[UUID, Correlation] = {}
        for start in range(0, len(alerts), MAX_ALERTS):
            if not self._breaker.allows():
                break
            try:
                told |= await self.tell(alerts[start : start + MAX_ALERTS], self._live, trace_contexts)
            except DomainError as exc:
                if isinstance(exc, UpstreamError):
                    self._breaker.failed()
                log.warning("alerts not told yet", alerts=len(alerts) - start, reason=str(exc))
            except Exception:
                # Their senders wait: they are stored, and the sweeper tells them.
                log.exception("alerts not told yet", alerts=len(alerts) - start)
            else:
                self._breaker.succeeded()
        return told


def _trace_contexts(batch: Iterable[Waiting]) -> dict[UUID, str]:
    return {
        report.alert.id: waiting.trace_context
        for waiting in batch
        for report in waiting.reports
        if report.alert is not None and waiting.trace_context is not None
    }


def _state(alert: StoredAlert, trace_context: str | None) -> AlertState:
    return AlertState.model_construct(
        alert_id=alert.id,
        version=alert.version,
        status=alert.status,
        service=alert.service,
        severity=alert.severity,
        message=alert.message,
        labels=alert.labels,
        source=alert.source,
        dedup_key=alert.dedup_key,
        occurrences=alert.occurrences,
        remark=alert.remark,
        fired_at=alert.fired_at,
        last_seen_at=alert.last_seen_at,
        trace_context=trace_context,
    )
