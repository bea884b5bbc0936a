"""Store a batch of requests, with their alerts, in one transaction."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar
from uuid import UUID

from tocsin.alerts.domain import (
    AlertReport,
    IncomingRequest,
    StoredAlert,
    StoreResult,
    WriteStep,
    new_alert,
    plan_steps,
    reports_of,
    split_by_key,
)
from tocsin.alerts.repository import writes
from tocsin.contracts.alerts import AlertAction, AlertStatus
from tocsin.integrations.integration import IncomingAlert, IngestResult
from tocsin.kernel.db import Database, autocommit, transaction
from tocsin.kernel.request_id import REQUEST_ID

T = TypeVar("T")
REPEATED, RESOLVED = AlertAction.REPEATED, AlertAction.RESOLVED
MAX_STATEMENT_ROWS: Final = 500
"""The maximum number of alerts with a deduplication key that one statement writes."""


@dataclass(slots=True, eq=False)
class PendingRequest:
    """A request that waits for its commit, and the future with the results that its sender waits for."""

    request: IncomingRequest
    alerts: Sequence[IncomingAlert]
    results: asyncio.Future[list[IngestResult]]
    deadline: float
    """By the monotonic clock: once it has passed, an unavailable database fails the request."""
    request_id: str = field(default_factory=REQUEST_ID.get)
    stored: bool = False

    @property
    def open(self) -> bool:
        """Whether it is not stored yet and has not failed."""
        return not (self.stored or self.results.done())

    def succeed(self, results: list[IngestResult]) -> None:
        """Set the results, unless the sender has disconnected."""
        if not self.results.done():
            self.results.set_result(results)

    def fail(self, error: Exception) -> None:
        """Set *error*, unless the sender has disconnected."""
        if not self.results.done():
            self.results.set_exception(error)


async def store(db: Database, batch: Sequence[PendingRequest], *, grace: float) -> dict[UUID, StoreResult]:
    """Store *batch* in one transaction; return the effect of each report, by its id."""
    requests = [pending.request for pending in batch]
    unkeyed, keyed = split_by_key(reports_of(pending.request, pending.alerts) for pending in batch)
    steps = plan_steps(keyed)
    results: dict[UUID, StoreResult] = {}
    async with autocommit(db) if _is_one_message(unkeyed, steps) else transaction(db) as cur:
        if unkeyed or not steps:
            at = await writes.insert_batch(cur, requests, unkeyed, grace=grace)
            results |= {report.id: _inserted(report, at) for report in unkeyed}
        else:
            await writes.insert_requests(cur, requests)
        for step in steps:
            for firing in _parts(step.firing):
                alerts = await writes.upsert_firing(cur, firing, grace=grace)
                results |= {report_id: _updated(report_id, alert, REPEATED) for report_id, alert in alerts.items()}
            for resolved in _parts(step.resolved):
                alerts = await writes.resolve_open(cur, resolved, grace=grace)
                results |= {report_id: _updated(report_id, alert, RESOLVED) for report_id, alert in alerts.items()}
                ignored = [report for report in resolved if report.id not in alerts]
                if ignored:
                    at = await writes.insert_batch(cur, (), ignored, grace=grace)
                    results |= {report.id: _inserted(report, at) for report in ignored}
    return results


def _is_one_message(unkeyed: Sequence[AlertReport], steps: Sequence[WriteStep]) -> bool:
    """Return whether one message to the database has all statements, and so needs no BEGIN and COMMIT."""
    firing = steps[0].firing if len(steps) == 1 and not steps[0].resolved else ()
    return not steps or (not unkeyed and 0 < len(firing) <= MAX_STATEMENT_ROWS)


def _parts(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield *rows* in parts small enough not to block the event loop: a request may have ten thousand alerts."""
    for start in range(0, len(rows), MAX_STATEMENT_ROWS):
        yield rows[start : start + MAX_STATEMENT_ROWS]


def _inserted(report: AlertReport, at: datetime) -> StoreResult:
    if report.alert.status is AlertStatus.RESOLVED:
        return StoreResult(report.id, AlertAction.IGNORED, None)
    return StoreResult(report.id, AlertAction.PENDING, new_alert(report, at))


def _updated(report_id: UUID, alert: StoredAlert, action: AlertAction) -> StoreResult:
    return StoreResult(alert.id, AlertAction.PENDING if alert.id == report_id else action, alert)
