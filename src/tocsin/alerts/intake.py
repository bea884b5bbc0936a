"""Group commit: whatever arrived while the last commit ran is stored by the next, in one transaction.

Nothing is held back: a lone alert is written at once. A request that the database refuses is found by halving its batch
and fails alone. Ids are made before the first try, and the request's row is the guard: after an outcome that is not
known, the same rows are tried again, and what turns out to be there is answered from the tables.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar
from uuid import UUID

import structlog
from aiohttp import web

from tocsin.alerts.domain import (
    Entry,
    Report,
    StoredAlert,
    entry_ids,
    new_alert,
    plan_steps,
    split_by_key,
)
from tocsin.alerts.metrics import AlertMetrics
from tocsin.alerts.repository import storing
from tocsin.alerts.repository.storing import RequestRow
from tocsin.alerts.settings import Settings
from tocsin.alerts.telling import Teller, Waiting
from tocsin.contracts.alerts import AlertAction, AlertStatus
from tocsin.integrations.integration import IncomingAlert, IngestResult
from tocsin.kernel import clock, randomness
from tocsin.kernel.db import Database, autocommit, transaction
from tocsin.kernel.errors import DataRefusedError, InvalidRequestError, UnavailableError
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.request_id import REQUEST_ID
from tocsin.kernel.tasks import create_task

log = structlog.get_logger(__name__)
T = TypeVar("T")
COMMIT: Final = Failpoint("alerts.commit")
MAX_ALERTS: Final = 200
MAX_BYTES: Final = 4 * 1024 * 1024
"""What one commit takes: that many alerts, or bytes of requests; but at least one request.

Larger commits cost less for each alert, but then storing, telling and answering take turns instead of running side by
side: of 100, 200 and 1,000, 200 took in most on two cores, by a tenth.
"""
MAX_WAITING_BYTES: Final = 64 * 1024 * 1024
"""Beyond that senders are told to come back later."""
STATEMENT_ROWS: Final = 500
"""Alerts with a key in one statement."""
RETRY_SECONDS: Final = (0.05, 0.2)
"""Between tries while the database is away."""


@dataclass(slots=True, eq=False)
class Submission:
    """A request that waits to be stored and answered."""

    request: RequestRow
    alerts: Sequence[IncomingAlert]
    answer: asyncio.Future[list[IngestResult]]
    give_up_at: float
    """By the monotonic clock."""
    request_id: str = field(default_factory=REQUEST_ID.get)
    stored: bool = False

    def entries(self) -> list[Entry]:
        """Return its alerts under their ids."""
        ids = entry_ids(self.request.id, len(self.alerts))
        return [Entry(*pair, self.request.id, self.request.receiver) for pair in zip(ids, self.alerts, strict=True)]

    @property
    def open(self) -> bool:
        """Whether it still is to be stored."""
        return not (self.stored or self.answer.done())

    def succeed(self, receipts: list[IngestResult]) -> None:
        """Answer with *receipts*."""
        if not self.answer.done():
            self.answer.set_result(receipts)

    def fail(self, error: Exception) -> None:
        """Answer with *error*."""
        if not self.answer.done():
            self.answer.set_exception(error)


class Intake:
    """Stores requests, one transaction at a time, and hands their alerts over to be told."""

    def __init__(self, db: Database, metrics: AlertMetrics, teller: Teller, settings: Settings) -> None:
        self._db = db
        self._metrics = metrics
        self._teller = teller
        self._patience = settings.commit_patience_seconds
        self._grace = settings.tell_grace_seconds
        self._waiting: deque[Submission] = deque()
        metrics.waiting.set_function(lambda: len(self._waiting))
        self._waiting_bytes = 0
        self._keyed: dict[str, Submission] = {}
        self._bell = asyncio.Event()
        self._stopping = False

    async def submit(self, request: RequestRow, alerts: Sequence[IncomingAlert]) -> list[IngestResult]:
        """Store a request and return what became of its alerts, in their order.

        Raise UnavailableError where the database is away for too long or too much waits, InvalidRequestError where the
        database refuses the request, or its idempotency key belongs to another one.
        """
        key = request.idempotency_key
        running = self._keyed.get(key) if key is not None else None
        if running is not None:
            check_same(running.request, request)
            return await asyncio.shield(running.answer)
        if self._waiting_bytes > MAX_WAITING_BYTES:
            msg = "More alerts arrive than can be stored; try again in a moment."
            raise UnavailableError(msg)
        answer: asyncio.Future[list[IngestResult]] = asyncio.get_running_loop().create_future()
        submission = Submission(request, alerts, answer, clock.monotonic() + self._patience)
        if key is not None:
            self._keyed[key] = submission
            answer.add_done_callback(lambda _: self._keyed.pop(key))
        self._waiting.append(submission)
        self._waiting_bytes += len(request.body)
        self._bell.set()
        return await answer

    async def context(self, _app: web.Application) -> AsyncIterator[None]:
        """Store while the application runs; at its end, store what still waits (a cleanup context)."""
        task = create_task(self._run(), name="intake")
        yield
        self._stopping = True
        self._bell.set()
        await task

    async def _run(self) -> None:
        while self._waiting or not self._stopping:
            await self._bell.wait()
            self._bell.clear()
            while self._waiting:
                await self._commit(self._take())

    def _take(self) -> list[Submission]:
        batch: list[Submission] = []
        alerts = taken = 0
        while self._waiting:
            following = self._waiting[0]
            alerts += len(following.alerts)
            taken += len(following.request.body)
            if batch and (alerts > MAX_ALERTS or taken > MAX_BYTES):
                break
            batch.append(self._waiting.popleft())
            self._waiting_bytes -= len(following.request.body)
        return batch

    async def _commit(self, batch: Sequence[Submission]) -> None:
        """Store *batch*, trying again while the database is away and somebody has patience."""
        while batch:
            try:
                await self._store(batch)
            except UnavailableError as exc:
                await self._lose_patience(batch, exc)
            except Exception as exc:
                log.exception("batch not stored", requests=len(batch))
                for submission in batch:
                    submission.fail(exc)
            batch = [submission for submission in batch if submission.open]

    @staticmethod
    async def _lose_patience(batch: Sequence[Submission], error: UnavailableError) -> None:
        now = clock.monotonic()
        for submission in batch:
            if submission.open and submission.give_up_at <= now:
                submission.fail(error)
        if any(submission.open for submission in batch):
            await clock.sleep(randomness.uniform(*RETRY_SECONDS))

    async def _store(self, batch: Sequence[Submission]) -> None:
        """Store *batch*, halving it down to what the database refuses. Raise UnavailableError."""
        try:
            with self._metrics.stage.labels("commit").time():
                async with COMMIT():
                    reports = await store(self._db, batch, grace=self._grace)
        except UnavailableError:
            raise
        except Exception as exc:  # noqa: BLE001 - a value may be refused by the driver, the serialiser or the server
            rest = await self._answer_stored(batch)
            if len(rest) == len(batch) == 1:
                rest[0].fail(refusal_of(exc))
                return
            middle = len(rest) // 2 if len(rest) == len(batch) else 0
            for part in (rest[:middle], rest[middle:]):
                if part:
                    await self._store(part)
            return
        self._count(batch)
        self._hand_over(batch, reports)

    async def _answer_stored(self, batch: Sequence[Submission]) -> list[Submission]:
        """Answer those of *batch* that are in the tables already; return the others."""
        async with transaction(self._db) as cur:
            firsts = await storing.find_requests(cur, [submission.request for submission in batch])
            known = [(submission, first) for submission, first in zip(batch, firsts, strict=True) if first is not None]
            receipts = await storing.find_receipts(
                cur, [entry for submission, first in known for entry in entry_ids(first.id, len(submission.alerts))]
            )
        for submission, first in known:
            try:
                check_same(first, submission.request)
            except InvalidRequestError as exc:
                submission.fail(exc)
            else:
                entries = entry_ids(first.id, len(submission.alerts))
                submission.succeed([receipts[entry] for entry in entries])
        # Under their own id: a commit of ours whose outcome nobody could say has stored them.
        self._count([submission for submission, first in known if first.id == submission.request.id])
        return [submission for submission, first in zip(batch, firsts, strict=True) if first is None]

    def _count(self, batch: Iterable[Submission]) -> None:
        severities = Counter(alert.severity for submission in batch for alert in submission.alerts)
        for severity, number in severities.items():
            self._metrics.received.labels(severity).inc(number)
        if severities:
            self._metrics.batch.observe(severities.total())

    def _hand_over(self, batch: Iterable[Submission], reports: dict[UUID, Report]) -> None:
        stored = []
        for submission in batch:
            submission.stored = True
            mine = [reports[entry] for entry in entry_ids(submission.request.id, len(submission.alerts))]
            stored.append(Waiting(mine, submission.answer, submission.request_id, submission.request.trace_context))
        self._teller.hand_over(stored)


async def store(db: Database, batch: Sequence[Submission], *, grace: float) -> dict[UUID, Report]:
    """Store *batch* in one transaction; return what each reported alert did, by its id."""
    requests = [submission.request for submission in batch]
    alone, keyed = split_by_key(submission.entries() for submission in batch)
    async with transaction(db) if keyed else autocommit(db) as cur:
        at = await storing.insert_batch(cur, requests, alone, now=None, grace=grace)
        reports = {entry.id: _report_alone(entry, at) for entry in alone}
        for step in plan_steps(keyed):
            for firing in _parts(step.firing):
                met = await storing.upsert_firing(cur, firing, at=at, grace=grace)
                reports |= {entry: _report_met(entry, alert, AlertAction.REPEATED) for entry, alert in met.items()}
            for resolved in _parts(step.resolved):
                met = await storing.resolve_open(cur, resolved, at=at, grace=grace)
                reports |= {entry: _report_met(entry, alert, AlertAction.RESOLVED) for entry, alert in met.items()}
                ignored = [entry for entry in resolved if entry.id not in met]
                if ignored:
                    await storing.insert_batch(cur, (), ignored, now=at, grace=grace)
                reports |= {entry.id: _report_alone(entry, at) for entry in ignored}
    return reports


def _parts(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield *rows* in parts of which none keeps the event loop for long: a group may have ten thousand."""
    for start in range(0, len(rows), STATEMENT_ROWS):
        yield rows[start : start + STATEMENT_ROWS]


def _report_alone(entry: Entry, at: datetime) -> Report:
    if entry.alert.status is AlertStatus.RESOLVED:
        return Report(entry.id, AlertAction.IGNORED, None)
    return Report(entry.id, AlertAction.PENDING, new_alert(entry, at))


def _report_met(entry: UUID, alert: StoredAlert, did: AlertAction) -> Report:
    return Report(alert.id, AlertAction.PENDING if alert.id == entry else did, alert)


def check_same(first: RequestRow, again: RequestRow) -> None:
    """Raise InvalidRequestError where the same idempotency key came with another request."""
    if first.id != again.id and (first.receiver, first.body) != (again.receiver, again.body):
        detail = "This key was used for another request; take a new one."
        raise InvalidRequestError([{"pointer": "Idempotency-Key", "detail": detail}])


def refusal_of(error: Exception) -> Exception:
    """Return what to answer for a request that fails alone: 422 where its data is at fault, else *error* itself."""
    if isinstance(error, ValueError | DataRefusedError):
        log.warning("request refused by the database", reason=str(error).splitlines()[:1])
        return InvalidRequestError([{"pointer": "#", "detail": "The database cannot store this."}])
    return error
