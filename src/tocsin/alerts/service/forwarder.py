"""Forward stored alerts to incident management: one call for all alerts that were stored during the previous calls.

A sender waits for its result for CORRELATE_TIMEOUT_SECONDS at most, but the call goes on: a call that is given up would
be completed all the same, and then made again. How long a call may take, and how many alerts it has, follows the
latency of the calls before it. Alerts that would not be forwarded before they are overdue are left to the worker, so
that under overload nothing is sent twice.
"""

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
from tocsin.alerts.service.correlator import CircuitBreaker, Correlator, Results
from tocsin.alerts.settings import Settings
from tocsin.contracts.incidents import Correlation
from tocsin.integrations.integration import IngestResult
from tocsin.kernel import clock, tasks
from tocsin.kernel.errors import DomainError, UpstreamError
from tocsin.kernel.http_client import TIMEOUT, TransientError
from tocsin.kernel.ids import new_id
from tocsin.kernel.pace import Pace
from tocsin.kernel.request_id import REQUEST_ID
from tocsin.kernel.tasks import create_task
from tocsin.kernel.tracing import TRACING

log = structlog.get_logger(__name__)
MAX_ALERTS: Final = 200
"""The maximum number of alerts in one call."""
MIN_ALERTS: Final = 50
"""The maximum number of alerts in one call while calls are slow."""
MAX_QUEUED: Final = 2_000
"""The maximum number of alerts that wait for a call; the oldest of more are left to the worker."""
MAX_CALLS: Final = 2
"""Concurrent calls. The second one starts only if the first takes long."""
STOP_SECONDS: Final = 2.0
"""How long a stopping process waits for its calls; another one forwards the alerts that are left."""
CALL_PATIENCE_SECONDS: Final = 0.05
"""How long to wait for a running call: most of the cost is per call, and what arrives meanwhile is in the next one."""


@dataclass(slots=True, eq=False)
class PendingReply:
    """A stored request whose sender waits for the correlation of its alerts."""

    stored: Sequence[StoreResult]
    results: asyncio.Future[list[IngestResult]]
    overdue_at: float
    """When the worker will forward its alerts, by the monotonic clock."""
    request_id: str = field(default_factory=REQUEST_ID.get)
    trace_context: str | None = None
    expires_at: float = 0.0
    """When its sender gets a reply even without the correlation, by the monotonic clock."""

    @property
    def left_at(self) -> float:
        """When its alerts are left to the worker, unless they have been sent."""
        return max(self.overdue_at, self.expires_at)

    def complete(self, correlations: Mapping[UUID, Correlation]) -> None:
        """Reply, unless that happened already; *correlations* are by alert."""
        if not self.results.done():
            self.results.set_result([ingest_result(result, correlations) for result in self.stored])


@dataclass(frozen=True, slots=True, eq=False)
class CorrelatedBatch:
    """The replies that one call completes, and the results of their alerts."""

    replies: Sequence[PendingReply]
    results: Results


class Forwarder:
    """Forwards alerts to incident management, links them to their incidents, and completes pending replies."""

    def __init__(self, correlator: Correlator, settings: Settings) -> None:
        self._correlator = correlator
        self._patience = settings.correlate_timeout_seconds
        self._min_grace = settings.forward_grace_seconds
        self._breaker = CircuitBreaker(settings.breaker_seconds)
        self._pace = Pace(
            max_size=MAX_ALERTS,
            min_size=MIN_ALERTS,
            target_seconds=self._patience,
            min_timeout=min(settings.lease_seconds / 2, max(self._patience, self._min_grace - self._patience)),
            max_timeout=settings.lease_seconds / 2,
        )
        self._pending: deque[PendingReply] = deque()
        self._queued = 0
        """The number of alerts in `_pending`."""
        self._unanswered: deque[PendingReply] = deque()
        """Every reply, in the order of their expiry."""
        self._expiring: asyncio.Task[None] | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._calls = 0
        self._call_ended = asyncio.Event()
        self._last_call_at = 0.0
        """When the newest call started, by the monotonic clock."""
        self._correlated: deque[CorrelatedBatch] = deque()
        self._linking: asyncio.Task[None] | None = None

    @property
    def grace(self) -> float:
        """How long an alert that is stored now may stay unforwarded before the worker forwards it."""
        return max(self._min_grace, 2 * self._pace.expected_seconds)

    def enqueue(self, replies: Iterable[PendingReply]) -> None:
        """Forward the alerts of *replies*, at once or with the next call; returns without waiting."""
        expires_at = clock.monotonic() + self._patience
        for reply in replies:
            reply.expires_at = expires_at
            self._pending.append(reply)
            self._queued += len(reply.stored)
            self._unanswered.append(reply)
        while len(self._pending) > 1 and self._queued > MAX_QUEUED:
            self._take().complete({})
        self._running = {task for task in self._running if not task.done()}
        if self._pending and len(self._running) < MAX_CALLS:
            self._running.add(create_task(self._run(), name="forward"))
        if self._unanswered and (self._expiring is None or self._expiring.done()):
            self._expiring = create_task(self._expire(), name="expire-replies")

    async def context(self, _app: web.Application) -> AsyncIterator[None]:
        """Let running calls finish when the application stops, for STOP_SECONDS (a cleanup context)."""
        yield
        if self._running:
            _, slow = await tasks.wait(self._running, seconds=STOP_SECONDS)
            await tasks.cancel(*slow)
        if self._linking is not None:
            await self._linking
        if self._expiring is not None:
            await tasks.cancel(self._expiring)

    async def _expire(self) -> None:
        """Reply to the senders that have waited long enough; the calls for their alerts go on."""
        while self._unanswered:
            first = self._unanswered[0]
            left = first.expires_at - clock.monotonic()
            if left > 0 and not first.results.done():
                await clock.sleep(left)
            else:
                self._unanswered.popleft().complete({})

    async def _run(self) -> None:
        while self._pending:
            patience = self._last_call_at + CALL_PATIENCE_SECONDS - clock.monotonic() if self._calls else 0.0
            if patience > 0:
                await self._wait_for_call(patience)
                continue
            batch = self._next_batch()
            if not batch:
                continue
            REQUEST_ID.set(batch[0].request_id if len(batch) == 1 else f"batch-{new_id()}")
            results = await self._correlate(
                newest_states(result for reply in batch for result in reply.stored),
                _trace_contexts(batch) if TRACING.on else {},
                overdue_at=min(reply.left_at for reply in batch),
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
                    reply.complete(correlations)

    async def _try_to_link(self, results: Sequence[tuple[StoredAlert, Correlation]]) -> bool:
        try:
            await self._correlator.link(results)
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
        """Take the alerts of the next call; those that would be overdue by its end are left to the worker."""
        ends_at = clock.monotonic() + self._pace.expected_seconds
        batch: list[PendingReply] = []
        alerts = 0
        while self._pending:
            following = self._pending[0]
            if following.left_at < ends_at:
                self._take().complete({})
                continue
            alerts += len(following.stored)
            if batch and alerts > self._pace.size:
                break
            batch.append(self._take())
        return batch

    def _take(self) -> PendingReply:
        reply = self._pending.popleft()
        self._queued -= len(reply.stored)
        return reply

    async def _correlate(
        self, alerts: Sequence[StoredAlert], trace_contexts: Mapping[UUID, str], *, overdue_at: float
    ) -> Results:
        """Return the results of *alerts*, without those that incident management did not return in time.

        Of more alerts than one call has, those that would be overdue are left to the worker, too.
        """
        results: Results = {}
        start = 0
        while start < len(alerts) and self._breaker.allows():
            if start and overdue_at < clock.monotonic() + self._pace.expected_seconds:
                break
            part = alerts[start : start + self._pace.size]
            results |= await self._try_to_send(part, trace_contexts)
            start += len(part)
        return results

    async def _try_to_send(self, alerts: Sequence[StoredAlert], trace_contexts: Mapping[UUID, str]) -> Results:
        """Return the results of one call; none if it fails."""
        self._calls += 1
        started = self._last_call_at = clock.monotonic()
        try:
            results = await self._correlator.send(alerts, trace_contexts, seconds=self._pace.timeout)
        except DomainError as exc:
            if isinstance(exc, UpstreamError):
                self._breaker.failed()
                slow = isinstance(exc, TransientError) and exc.reason == TIMEOUT
                (self._pace.timed_out if slow else self._pace.failed)(len(alerts))
            log.warning("alerts not forwarded yet", alerts=len(alerts), reason=str(exc))
        except Exception:
            # The alerts are stored: their senders get 202, and a worker forwards them when they are overdue.
            log.exception("alerts not forwarded yet", alerts=len(alerts))
        else:
            self._breaker.succeeded()
            self._pace.succeeded(len(alerts), clock.monotonic() - started)
            return results
        finally:
            self._calls -= 1
            self._call_ended.set()
            self._call_ended = asyncio.Event()
        return {}


def _trace_contexts(batch: Iterable[PendingReply]) -> dict[UUID, str]:
    return {
        result.alert.id: reply.trace_context
        for reply in batch
        for result in reply.stored
        if result.alert is not None and reply.trace_context is not None
    }
