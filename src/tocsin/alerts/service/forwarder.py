"""Forward stored alerts to incident management: one call for all alerts that were stored during the previous calls."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import structlog
from aiohttp import web

from tocsin.alerts.domain import StoredAlert, StoreResult, ingest_result, newest_states
from tocsin.alerts.metrics import RESULT_OF, AlertMetrics
from tocsin.alerts.repository import forwarding
from tocsin.alerts.settings import Settings
from tocsin.clients.incidents import IncidentsClient
from tocsin.contracts.incidents import AlertState, CorrelateAlerts, Correlation
from tocsin.integrations.integration import IngestResult
from tocsin.kernel import clock, tasks
from tocsin.kernel.db import Database, autocommit
from tocsin.kernel.errors import DomainError, UpstreamError
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.http_client import Budget
from tocsin.kernel.ids import new_id
from tocsin.kernel.request_id import REQUEST_ID
from tocsin.kernel.tasks import create_task
from tocsin.kernel.tracing import TRACING

log = structlog.get_logger(__name__)
FORWARD: Final = Failpoint("alerts.forward")
LINK: Final = Failpoint("alerts.link")
MAX_ALERTS: Final = 200
"""The maximum number of alerts in one call."""
MAX_CALLS: Final = 2
"""Concurrent calls. The second one starts only if the first takes long."""
CALL_PATIENCE_SECONDS: Final = 0.05
"""How long to wait for a running call: most of the cost is per call, and what arrives meanwhile is in the next one."""
FAILURE_THRESHOLD: Final = 3
"""Consecutive failures that open the circuit breaker."""


@dataclass(slots=True)
class CircuitBreaker:
    """Fails fast while incident management does not respond, so that senders do not wait for it."""

    seconds: float
    """How long it stays open; after that, calls are allowed until one fails."""
    failures: int = 0
    """Consecutive failures."""
    open_until: float = 0.0
    """By the monotonic clock."""

    def allows(self) -> bool:
        """Return whether a call is allowed."""
        return clock.monotonic() >= self.open_until

    def succeeded(self) -> None:
        """Close the breaker."""
        self.failures = 0

    def failed(self) -> None:
        """Open after the third consecutive failure, and again after each further one."""
        self.failures += 1
        if self.failures >= FAILURE_THRESHOLD:
            self.open_until = clock.monotonic() + self.seconds


@dataclass(slots=True, eq=False)
class PendingReply:
    """A stored request whose sender waits for the correlation of its alerts."""

    stored: Sequence[StoreResult]
    results: asyncio.Future[list[IngestResult]]
    request_id: str = field(default_factory=REQUEST_ID.get)
    trace_context: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class CorrelatedBatch:
    """The replies that one call completes, and the results of their alerts, by alert."""

    replies: Sequence[PendingReply]
    results: Mapping[UUID, tuple[StoredAlert, Correlation]]


class Forwarder:
    """Forwards alerts to incident management, links them to their incidents, and completes pending replies."""

    def __init__(self, db: Database, incidents: IncidentsClient, metrics: AlertMetrics, settings: Settings) -> None:
        self._db = db
        self._incidents = incidents
        self._metrics = metrics
        self._breaker = CircuitBreaker(settings.breaker_seconds)
        seconds = settings.correlate_timeout_seconds
        self._budget = Budget(attempts=1, seconds=seconds, attempt_seconds=seconds)
        self._pending: deque[PendingReply] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._calls = 0
        self._call_ended = asyncio.Event()
        self._last_call_at = 0.0
        """When the newest call started, by the monotonic clock."""
        self._correlated: deque[CorrelatedBatch] = deque()
        self._linking: asyncio.Task[None] | None = None

    def enqueue(self, replies: Iterable[PendingReply]) -> None:
        """Forward the alerts of *replies*, at once or with the next call; returns without waiting."""
        self._pending.extend(replies)
        self._running = {task for task in self._running if not task.done()}
        if self._pending and len(self._running) < MAX_CALLS:
            self._running.add(create_task(self._run(), name="forward"))

    async def context(self, _app: web.Application) -> AsyncIterator[None]:
        """Let running calls finish when the application stops (a cleanup context)."""
        yield
        await tasks.gather(*self._running)
        if self._linking is not None:
            await self._linking

    async def forward(self, alerts: Sequence[StoredAlert], budget: Budget, trace_contexts: Mapping[UUID, str]) -> None:
        """Send the state of *alerts* to incident management, and link them to the incidents in its response.

        Raise UpstreamError without a response, RejectedError for a rejection, or DatabaseUnavailableError if the links
        cannot be written. It is safe to retry: incident management returns the same result for a version that it has
        received before.
        """
        results = await self._call(alerts, budget, trace_contexts)
        await self._link(list(results.values()))

    async def _call(
        self, alerts: Sequence[StoredAlert], budget: Budget, trace_contexts: Mapping[UUID, str]
    ) -> dict[UUID, tuple[StoredAlert, Correlation]]:
        """Send the state of *alerts*; return the results, by alert.

        *trace_contexts* has the trace context of each alert's request: the call's span continues the first trace and
        links the others.
        """
        traced = [trace_contexts[alert.id] for alert in alerts if alert.id in trace_contexts] if trace_contexts else []
        if not traced:
            return await self._post(alerts, budget, trace_contexts)
        first, *others = traced
        with TRACING.span("forward alerts", parent=first, links=others, tocsin__alerts=len(alerts)):
            return await self._post(alerts, budget, trace_contexts)

    async def _post(
        self, alerts: Sequence[StoredAlert], budget: Budget, trace_contexts: Mapping[UUID, str]
    ) -> dict[UUID, tuple[StoredAlert, Correlation]]:
        states = [_state(alert, trace_contexts.get(alert.id)) for alert in alerts]
        batch = CorrelateAlerts.model_construct(alerts=states)
        with self._metrics.stage.labels("forward").time():
            async with FORWARD():
                response = await self._incidents.correlate(batch, idempotency_key=str(new_id()), budget=budget)
        sent = {alert.id: alert for alert in alerts}
        return {
            result.alert_id: (sent[result.alert_id], result) for result in response.results if result.alert_id in sent
        }

    async def _link(self, results: Sequence[tuple[StoredAlert, Correlation]]) -> None:
        with self._metrics.stage.labels("link").time():
            async with LINK(), autocommit(self._db) as cur:
                await forwarding.link_alerts(cur, results)
        for alert, correlation in results:
            result = RESULT_OF.get(correlation.action)
            if result is not None and alert.incident_id != correlation.incident_id:
                self._metrics.correlated.labels(result).inc()

    async def _run(self) -> None:
        while self._pending:
            patience = self._last_call_at + CALL_PATIENCE_SECONDS - clock.monotonic() if self._calls else 0.0
            if patience > 0:
                await self._wait_for_call(patience)
                continue
            batch = self._next_batch()
            REQUEST_ID.set(batch[0].request_id if len(batch) == 1 else f"batch-{new_id()}")
            results = await self._correlate(
                newest_states(result for reply in batch for result in reply.stored),
                _trace_contexts(batch) if TRACING.on else {},
            )
            self._correlated.append(CorrelatedBatch(batch, results))
            if self._linking is None or self._linking.done():
                self._linking = create_task(self._link_correlated(), name="link")

    async def _wait_for_call(self, seconds: float) -> None:
        """Wait at most *seconds* until a running call ends."""
        with suppress(TimeoutError):
            async with tasks.timeout(seconds):
                await self._call_ended.wait()

    async def _link_correlated(self) -> None:
        """Link the alerts of correlated batches and reply: one statement for all that became ready during another."""
        while self._correlated:
            batches = self._next_linkable()
            results = [result for batch in batches for result in batch.results.values()]
            linked = await self._try_to_link(results) if results else True
            for batch in batches:
                correlations = {alert_id: result for alert_id, (_, result) in batch.results.items()} if linked else {}
                for reply in batch.replies:
                    if not reply.results.done():
                        reply.results.set_result([ingest_result(result, correlations) for result in reply.stored])

    async def _try_to_link(self, results: Sequence[tuple[StoredAlert, Correlation]]) -> bool:
        try:
            await self._link(results)
        except DomainError as exc:
            log.warning("alerts not linked yet", alerts=len(results), reason=str(exc))
        except Exception:
            # As in _correlate: a worker forwards them again when they are overdue.
            log.exception("alerts not linked yet", alerts=len(results))
        else:
            return True
        return False

    def _next_linkable(self) -> list[CorrelatedBatch]:
        """Take the next batches that have no alert in common: a statement updates each row once."""
        batches: list[CorrelatedBatch] = []
        alert_ids: set[UUID] = set()
        while self._correlated and alert_ids.isdisjoint(self._correlated[0].results):
            batches.append(self._correlated.popleft())
            alert_ids.update(batches[-1].results)
        return batches

    def _next_batch(self) -> list[PendingReply]:
        batch = [self._pending.popleft()]
        alerts = len(batch[0].stored)
        while self._pending and alerts + len(self._pending[0].stored) <= MAX_ALERTS:
            batch.append(self._pending.popleft())
            alerts += len(batch[-1].stored)
        return batch

    async def _correlate(
        self, alerts: Sequence[StoredAlert], trace_contexts: Mapping[UUID, str]
    ) -> dict[UUID, tuple[StoredAlert, Correlation]]:
        """Return the results of *alerts*, without those that incident management did not return in time."""
        results: dict[UUID, tuple[StoredAlert, Correlation]] = {}
        for start in range(0, len(alerts), MAX_ALERTS):
            if not self._breaker.allows():
                break
            part = alerts[start : start + MAX_ALERTS]
            self._calls += 1
            self._last_call_at = clock.monotonic()
            try:
                results |= await self._call(part, self._budget, trace_contexts)
            except DomainError as exc:
                if isinstance(exc, UpstreamError):
                    self._breaker.failed()
                log.warning("alerts not forwarded yet", alerts=len(part), reason=str(exc))
            except Exception:
                # The alerts are stored: their senders get 202, and a worker forwards them when they are overdue.
                log.exception("alerts not forwarded yet", alerts=len(part))
            else:
                self._breaker.succeeded()
            finally:
                self._calls -= 1
                self._call_ended.set()
                self._call_ended = asyncio.Event()
        return results


def _trace_contexts(batch: Iterable[PendingReply]) -> dict[UUID, str]:
    return {
        result.alert.id: reply.trace_context
        for reply in batch
        for result in reply.stored
        if result.alert is not None and reply.trace_context is not None
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
