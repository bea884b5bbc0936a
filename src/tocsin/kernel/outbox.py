"""The outbox: calls to other services, retried until they succeed.

A row is inserted in the transaction of the change that it reports. A worker leases the oldest undelivered row of each
key (one statement sets the lease and increments the attempt number), calls the other service once, and marks the row as
done if the attempt number is unchanged: a worker that was paused past the end of its lease changes nothing. No
transaction is open during the call. A row is retried for ever, unless the other service rejects it (4xx): then it is
parked, logged as an error and counted, and the next row of its key is delivered.
"""

import asyncio
from collections import Counter as Tally
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self, TypeAlias
from uuid import UUID

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge
from pydantic import BaseModel

from tocsin.kernel import clock, outbox_repository, randomness, tasks
from tocsin.kernel.db import Cursor, Database, autocommit, transaction
from tocsin.kernel.errors import RejectedError, UnavailableError
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.ids import new_id
from tocsin.kernel.outbox_repository import OutboxMessage as OutboxMessage  # noqa: PLC0414 - the argument of every handler
from tocsin.kernel.outcome_recorder import OutcomeRecorder
from tocsin.kernel.request_id import REQUEST_ID
from tocsin.kernel.service_settings import ServiceSettings
from tocsin.kernel.tasks import create_task
from tocsin.kernel.tracing import NO_SPAN, TRACING, Kind
from tocsin.kernel.workers import STOP_SECONDS, Retries, Wakeup, worker

log = structlog.get_logger(__name__)
CONCURRENCY: Final = 8
"""The places of each kind of row: how many of them, each of another key, one process delivers concurrently.

More do not deliver faster, because each call is work for the same processors, but everything else then waits longer: in
a storm, 64 took twice as long to correlate and to show a page. One lease may give a kind as many rows more as other
kinds have free places. A kind with all its places in use is not leased, and takes nothing from the others: a receiver
that hangs does not delay what others receive.
"""
CALL_SHARE: Final = 0.66
"""The share of its lease that a delivery may take, so that it ends before another replica can lease the row."""
LEASED: Final = Failpoint("outbox.lease")
DELIVER: Final = Failpoint("outbox.deliver")
MARK_DONE: Final = Failpoint("outbox.mark_done")

AfterDelivery: TypeAlias = Callable[[Cursor], Awaitable[None]]
"""Applies the response; runs in the transaction that marks the row as done."""
Handler: TypeAlias = Callable[[OutboxMessage], Awaitable[AfterDelivery | None]]
"""Calls the other service once. Raises UnavailableError to be retried, RejectedError to park the row."""


@dataclass(frozen=True, slots=True)
class OutboxMetrics:
    """The backlog of the outbox."""

    deliveries: Counter
    undelivered: Gauge
    parked: Gauge
    oldest: Gauge

    @classmethod
    def register(cls, registry: CollectorRegistry) -> Self:
        """Declare the metrics on *registry*."""
        return cls(
            Counter(
                "tocsin_outbox_deliveries_total",
                "Attempts to deliver a row to another service.",
                ["kind", "outcome"],
                registry=registry,
            ),
            Gauge("tocsin_outbox_undelivered_rows", "Rows not yet delivered.", registry=registry),
            Gauge("tocsin_outbox_parked_rows", "Rows that the other service rejected.", registry=registry),
            Gauge("tocsin_outbox_oldest_seconds", "Age of the oldest row not yet delivered.", registry=registry),
        )


class Outbox:
    """The outbox of one service's schema; its `context` delivers while the application runs."""

    def __init__(
        self,
        db: Database,
        settings: ServiceSettings,
        registry: CollectorRegistry,
        handlers: Mapping[str, Handler],
        *,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """*on_change* is called after each commit of an `AfterDelivery`."""
        self._db = db
        self._on_change = on_change
        self._settings = settings
        self._handlers = handlers
        self._metrics = OutboxMetrics.register(registry)
        for kind in handlers:
            for outcome in ("done", "retry", "parked", "fenced"):
                self._metrics.deliveries.labels(kind, outcome)
        self._running: dict[asyncio.Task[None], str] = {}
        """The kind of row that each task delivers."""
        self._waiters: dict[UUID, asyncio.Event] = {}
        self._retries = Retries()
        self._recorder = OutcomeRecorder(db)
        self.wakeup = Wakeup()

    async def enqueue(
        self, cur: Cursor, *, kind: str, key: str, body: BaseModel, message_id: UUID | None = None
    ) -> UUID:
        """Insert a row in the caller's transaction; return the message id. Call `wake` after the commit.

        The transaction must hold the lock of the row that *key* identifies, such as the incident: otherwise a later
        row of the key could be committed, and delivered, before an earlier one.
        """
        chosen = message_id or new_id()
        await self.enqueue_many(cur, kind=kind, rows=[(chosen, key, body)])
        return chosen

    async def enqueue_many(
        self,
        cur: Cursor,
        *,
        kind: str,
        rows: Sequence[tuple[UUID, str, BaseModel]],
        trace_contexts: Sequence[str | None] | None = None,
    ) -> None:
        """Insert (message id, key, body) rows with one statement, in this order.

        *trace_contexts* has the trace context of each row; None stands for the current one.
        """
        if kind not in self._handlers:
            msg = f"no handler delivers {kind!r}"
            raise ValueError(msg)
        await outbox_repository.insert_many(cur, kind=kind, rows=rows, trace_contexts=trace_contexts)

    def wake(self) -> None:
        """Deliver now instead of at the next poll."""
        self.wakeup.set()

    async def wait_until_delivered(self, message_id: UUID, seconds: float) -> bool:
        """Wait until *message_id* has been delivered; return False if that takes longer than *seconds*."""
        event = self._waiters.setdefault(message_id, asyncio.Event())
        self.wake()
        try:
            async with tasks.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return False
        finally:
            self._waiters.pop(message_id, None)
        return True

    async def context(self, app: web.Application) -> AsyncIterator[None]:
        """Deliver while the application runs (a cleanup context)."""
        deliver = worker("outbox", self._tick, interval=self._settings.poll_seconds, wakeup=self.wakeup)
        housekeeping = worker("outbox_housekeeping", self._housekeep, interval=5 * self._settings.poll_seconds)
        async for _ in deliver(app):
            async for _ in housekeeping(app):
                yield
        if self._running:
            _, late = await tasks.wait(self._running, seconds=STOP_SECONDS)
            await tasks.cancel(*late)

    async def _tick(self, _app: web.Application) -> bool | float:
        self._retries.drop_due()
        running = Tally(self._running.values())
        free = {kind: CONCURRENCY - running[kind] for kind in self._handlers if running[kind] < CONCURRENCY}
        if not free:
            return False  # the worker wakes when a delivery ends
        limit = sum(free.values())
        messages = await self.lease(kinds=list(free), limit=limit)
        for message in messages:
            task = create_task(self._deliver_and_wake(message), name=f"outbox-{message.id}")
            self._running[task] = message.kind
            task.add_done_callback(self._running.pop)
        await self._find_delivered_elsewhere()
        return len(messages) == limit or self._retries.seconds_left()

    async def _find_delivered_elsewhere(self) -> None:
        """End the waits for messages that another replica has delivered; its NOTIFY woke this worker."""
        if self._waiters:
            async with autocommit(self._db) as cur:
                for message_id in await outbox_repository.select_done(cur, list(self._waiters)):
                    self._end_wait(message_id)

    def _end_wait(self, message_id: UUID) -> None:
        waiter = self._waiters.get(message_id)
        if waiter is not None:
            waiter.set()

    async def lease(self, *, limit: int, kinds: Sequence[str] | None = None) -> list[OutboxMessage]:
        """Lease the oldest undelivered row of up to *limit* keys for `lease_seconds`; of *kinds*, by default of all."""
        seconds = self._settings.lease_seconds
        expires = clock.monotonic() + seconds  # before the statement: the lease does not end later here than there
        async with LEASED(), autocommit(self._db) as cur:
            return await outbox_repository.lease(
                cur, kinds=kinds or list(self._handlers), seconds=seconds, limit=limit, expires=expires
            )

    async def _deliver_and_wake(self, message: OutboxMessage) -> None:
        try:
            await self.deliver(message)
        except UnavailableError as exc:
            log.warning("outbox outcome not recorded; retried when the lease ends", kind=message.kind, reason=str(exc))
        finally:
            self.wake()

    async def deliver(self, message: OutboxMessage) -> None:
        """Call the other service once and record the outcome."""
        REQUEST_ID.set(message.request_id)
        name = f"outbox {message.kind}"
        with TRACING.span(name, Kind.CONSUMER, parent=message.trace_context or {}) if TRACING.on else NO_SPAN:
            await self._deliver(message)

    async def _deliver(self, message: OutboxMessage) -> None:
        try:
            async with DELIVER(), tasks.timeout(self._settings.lease_seconds * CALL_SHARE):
                after = await self._handlers[message.kind](message)
            await self._mark_done(message, after)
        except RejectedError as exc:
            await self._park(message, str(exc))
        except (UnavailableError, TimeoutError) as exc:
            await self._retry_later(message, str(exc) or "no response in time")
        except Exception as exc:
            log.exception("outbox delivery failed", kind=message.kind, key=message.key)
            await self._retry_later(message, str(exc) or type(exc).__name__)

    async def _mark_done(self, message: OutboxMessage, after: AfterDelivery | None) -> None:
        owned = False

        async def write() -> None:
            nonlocal owned
            # A single statement needs no BEGIN and COMMIT.
            async with MARK_DONE(), (transaction if after else autocommit)(self._db) as cur:
                marked = await outbox_repository.mark_done(cur, message)
                owned = owned or marked  # by an earlier attempt, if the response to its COMMIT was lost
                if marked and after is not None:
                    await after(cur)

        await self._recorder.record(write, expires=message.expires)
        self._count(message, "done" if owned else "fenced")
        if owned and after is not None:
            self._on_change()
        self._end_wait(message.message_id)

    async def _retry_later(self, message: OutboxMessage, reason: str) -> None:
        self._count(message, "retry")
        fields = {"kind": message.kind, "key": message.key, "attempts": message.attempts, "reason": reason}
        log.warning("outbox delivery will be retried", **fields)
        delay = backoff(message.attempts, self._settings.retry_min_seconds, self._settings.retry_max_seconds)
        due = clock.monotonic() + delay

        async def write() -> float:
            left = max(0.0, due - clock.monotonic())
            async with autocommit(self._db) as cur:
                await outbox_repository.mark_retry(cur, message, reason=reason, delay=left)
            return left

        self._retries.add(await self._recorder.record(write, expires=message.expires))

    async def _park(self, message: OutboxMessage, reason: str) -> None:
        self._count(message, "parked")
        fields = {"kind": message.kind, "key": message.key, "attempts": message.attempts, "reason": reason}
        log.error("outbox row parked: its receiver rejected it; not retried until its parked_at is cleared", **fields)

        async def write() -> None:
            async with autocommit(self._db) as cur:
                await outbox_repository.mark_parked(cur, message, reason=reason)

        await self._recorder.record(write, expires=message.expires)

    async def _housekeep(self, _app: web.Application) -> bool:
        async with transaction(self._db) as cur:
            row = await outbox_repository.count(cur)
            more = await outbox_repository.delete_old(cur)
        self._metrics.undelivered.set(row["undelivered"])
        self._metrics.parked.set(row["parked"])
        self._metrics.oldest.set(row["oldest"])
        return more

    def _count(self, message: OutboxMessage, outcome: str) -> None:
        self._metrics.deliveries.labels(message.kind, outcome).inc()


OUTBOX = web.AppKey("OUTBOX", Outbox)


def backoff(attempts: int, low: float, high: float) -> float:
    """Return the seconds to wait after *attempts* failures: they double from *low* to *high*, and half is random."""
    full = min(high, low * 2.0 ** min(attempts - 1, 30))
    return randomness.uniform(full / 2, full)
