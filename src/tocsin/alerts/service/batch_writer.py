"""Group commit: requests that arrive during a commit are stored together in the next transaction.

No request is delayed to fill a batch. If the database refuses a batch, the batch is halved until the offending request
is found, which fails alone. After a commit whose outcome is unknown, the batch is retried. This stores nothing twice:
ids are assigned before the first try, and the insert of a stored request fails. The responses to stored requests are
then read from the tables.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Final
from uuid import UUID

import structlog
from aiohttp import web

from tocsin.alerts.domain import IncomingRequest, StoreResult, report_ids
from tocsin.alerts.metrics import AlertMetrics
from tocsin.alerts.repository import writes
from tocsin.alerts.service.forwarder import Forwarder, PendingReply
from tocsin.alerts.service.store import PendingRequest, store
from tocsin.alerts.settings import Settings
from tocsin.integrations.integration import IncomingAlert, IngestResult
from tocsin.kernel import clock, randomness, tasks
from tocsin.kernel.db import Database, transaction
from tocsin.kernel.errors import DataRefusedError, InvalidRequestError, UnavailableError
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.tasks import create_task

log = structlog.get_logger(__name__)
COMMIT: Final = Failpoint("alerts.commit")
MAX_ALERTS: Final = 200
MAX_BYTES: Final = 4 * 1024 * 1024
"""Limits of one commit: this many alerts or bytes of requests, but at least one request.

Larger commits cost less for each alert, but storing, forwarding and replying then alternate instead of overlapping. On
two cores, a limit of 200 alerts had 10 % more throughput than limits of 100 and 1,000.
"""
RETRY_SECONDS: Final = (0.05, 0.2)
"""Bounds of the pause between tries while the database is unavailable."""


class BatchWriter:
    """Stores requests, one transaction at a time, and enqueues their alerts for forwarding."""

    def __init__(self, db: Database, metrics: AlertMetrics, forwarder: Forwarder, settings: Settings) -> None:
        self._db = db
        self._metrics = metrics
        self._forwarder = forwarder
        self._patience = settings.commit_patience_seconds
        self._pending: deque[PendingRequest] = deque()
        metrics.pending.set_function(lambda: len(self._pending))
        self._by_key: dict[tuple[str, str], PendingRequest] = {}
        self._wakeup = asyncio.Event()
        self._stopping = False

    async def submit(self, request: IncomingRequest, alerts: Sequence[IncomingAlert]) -> list[IngestResult]:
        """Store a request and return the outcome of its alerts, in their order.

        Raise UnavailableError if the database is unavailable for too long, InvalidRequestError if the database refuses
        the data or the idempotency key was used for another request.
        """
        idempotent = request.idempotent
        key = None if idempotent is None else (idempotent.scope, idempotent.key)
        first = self._by_key.get(key) if key is not None else None
        if first is not None and first.request.idempotent is not None:
            check_same(first.request.idempotent.digest(), request)
            return await tasks.shield(first.results)
        results: asyncio.Future[list[IngestResult]] = asyncio.get_running_loop().create_future()
        pending = PendingRequest(request, alerts, results, clock.monotonic() + self._patience)
        if key is not None:
            self._by_key[key] = pending
            results.add_done_callback(lambda _: self._by_key.pop(key))
        self._pending.append(pending)
        self._wakeup.set()
        return await results

    async def context(self, _app: web.Application) -> AsyncIterator[None]:
        """Store requests while the application runs; before it stops, store those still pending (a cleanup context)."""
        task = create_task(self._run(), name="batch-writer")
        yield
        self._stopping = True
        self._wakeup.set()
        await task

    async def _run(self) -> None:
        while self._pending or not self._stopping:
            await self._wakeup.wait()
            self._wakeup.clear()
            while self._pending:
                await self._commit(self._next_batch())

    def _next_batch(self) -> list[PendingRequest]:
        batch: list[PendingRequest] = []
        alerts = size = 0
        while self._pending:
            following = self._pending[0]
            alerts += len(following.alerts)
            size += len(following.request.body)
            if batch and (alerts > MAX_ALERTS or size > MAX_BYTES):
                break
            batch.append(self._pending.popleft())
        return batch

    async def _commit(self, batch: Sequence[PendingRequest]) -> None:
        """Store *batch*; while the database is unavailable, retry until each request's deadline."""
        while batch:
            try:
                await self._store(batch)
            except UnavailableError as exc:
                await self._fail_expired(batch, exc)
            except Exception as exc:
                log.exception("storing a batch of requests failed", requests=len(batch))
                for pending in batch:
                    pending.fail(exc)
            batch = [pending for pending in batch if pending.open]

    @staticmethod
    async def _fail_expired(batch: Sequence[PendingRequest], error: UnavailableError) -> None:
        now = clock.monotonic()
        for pending in batch:
            if pending.open and pending.deadline <= now:
                pending.fail(error)
        if any(pending.open for pending in batch):
            await clock.sleep(randomness.uniform(*RETRY_SECONDS))

    async def _store(self, batch: Sequence[PendingRequest]) -> None:
        """Store *batch*, halving it down to the requests that the database refuses. Raise UnavailableError."""
        try:
            with self._metrics.stage.labels("commit").time():
                grace = self._forwarder.grace
                overdue_at = clock.monotonic() + grace
                async with COMMIT():
                    stored = await store(self._db, batch, grace=grace)
        except UnavailableError:
            raise
        except Exception as exc:  # noqa: BLE001 - a value may be refused by the driver, the serialiser or the server
            rest = await self._reply_to_stored(batch)
            if len(rest) == len(batch) == 1:
                rest[0].fail(refusal_of(exc))
                return
            middle = len(rest) // 2 if len(rest) == len(batch) else 0
            for part in (rest[:middle], rest[middle:]):
                if part:
                    await self._store(part)
            return
        self._count(batch)
        self._enqueue(batch, stored, overdue_at)

    async def _reply_to_stored(self, batch: Sequence[PendingRequest]) -> list[PendingRequest]:
        """Reply to the requests of *batch* that are stored already; return the others."""
        async with transaction(self._db) as cur:
            firsts = await writes.find_requests(cur, [pending.request for pending in batch])
            known = [(pending, first) for pending, first in zip(batch, firsts, strict=True) if first is not None]
            ids = [report_id for pending, first in known for report_id in report_ids(first.id, len(pending.alerts))]
            results = await writes.find_results(cur, ids)
        for pending, first in known:
            try:
                check_same(first.digest, pending.request)
            except InvalidRequestError as exc:
                pending.fail(exc)
            else:
                pending.succeed([results[report_id] for report_id in report_ids(first.id, len(pending.alerts))])
        # A request found by its own id was stored by a commit of this process whose outcome was unknown: count it now.
        self._count([pending for pending, first in known if first.id == pending.request.id])
        return [pending for pending, first in zip(batch, firsts, strict=True) if first is None]

    def _count(self, batch: Iterable[PendingRequest]) -> None:
        severities = Counter(alert.severity for pending in batch for alert in pending.alerts)
        for severity, number in severities.items():
            self._metrics.received.labels(severity).inc(number)
        if severities:
            self._metrics.batch.observe(severities.total())

    def _enqueue(self, batch: Iterable[PendingRequest], stored: Mapping[UUID, StoreResult], overdue_at: float) -> None:
        replies = []
        for pending in batch:
            pending.stored = True
            results = [stored[report_id] for report_id in report_ids(pending.request.id, len(pending.alerts))]
            trace_context = pending.request.trace_context
            replies.append(PendingReply(results, pending.results, overdue_at, pending.request_id, trace_context))
        self._forwarder.enqueue(replies)


def check_same(first_digest: bytes | None, retry: IncomingRequest) -> None:
    """Raise InvalidRequestError if the first request with the idempotency key differs from *retry*."""
    if first_digest is not None and retry.idempotent is not None and first_digest != retry.idempotent.digest():
        detail = "This key was used for another request; use a new one."
        raise InvalidRequestError([{"pointer": "Idempotency-Key", "detail": detail}])


def refusal_of(error: Exception) -> Exception:
    """Return the error of a request that failed alone: InvalidRequestError if its data caused *error*, else *error*."""
    if isinstance(error, ValueError | DataRefusedError):
        log.warning("the database refused the data of a request", reason=str(error).splitlines()[:1])
        return InvalidRequestError([{"pointer": "#", "detail": "The database cannot store this."}])
    return error
