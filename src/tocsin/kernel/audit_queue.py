"""Deliver the recorded entries of a service to the web service, which stores the audit."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Self, TypeAlias

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, Gauge

from tocsin.kernel.audit_entry import Entry
from tocsin.kernel.db import DB, Cursor, Row, autocommit, execute, fetch_all
from tocsin.kernel.errors import RejectedError, UnavailableError
from tocsin.kernel.workers import Context, worker

log = structlog.get_logger(__name__)
Send: TypeAlias = Callable[[web.Application, list[Entry]], Awaitable[None]]
"""Stores entries in the audit. Raises UnavailableError, RejectedError."""
BATCH: Final = 50
"""Fits into the body of a request, however large the entries are."""


@dataclass(frozen=True, slots=True)
class AuditMetrics:
    """The entries that wait."""

    oldest: Gauge

    @classmethod
    def register(cls, registry: CollectorRegistry) -> Self:
        """Declare the metric on *registry*."""
        return cls(
            Gauge(
                "tocsin_audit_oldest_seconds",
                "Age of the oldest entry that the web service has not stored in the audit yet.",
                registry=registry,
            )
        )


AUDIT_METRICS: Final = web.AppKey("AUDIT_METRICS", AuditMetrics)


def audit_worker(send: Send, *, interval: float) -> Context:
    """Return the cleanup context that delivers the entries of `audit_queue` by *send*, every *interval* seconds."""

    async def tick(app: web.Application) -> bool:
        return await deliver(app, send)

    return worker("audit", tick, interval=interval)


async def deliver(app: web.Application, send: Send) -> bool:
    """Deliver the oldest entries by *send*. Return whether there may be more.

    Replicas and retries may deliver the same entries, each of which is stored once. While the web service cannot store
    them, all wait, and one attempt is made for the oldest.
    """
    async with autocommit(app[DB]) as cur:
        rows = await _select(cur)
    app[AUDIT_METRICS].oldest.set(rows[0]["age"] if rows else 0.0)
    if not rows:
        return False
    entries = [{**row["entry"], "at": row["created_at"].isoformat()} for row in rows]
    try:
        await send(app, entries)
    except (UnavailableError, RejectedError) as exc:
        # A web service without the audit, of the release before or in open mode, rejects them. No entry is given up.
        log.warning("entries are not in the audit yet", entries=len(rows), reason=str(exc))
        return False
    async with autocommit(app[DB]) as cur:
        await execute(cur, "DELETE FROM audit_queue WHERE id = ANY(%(ids)s)", ids=[row["id"] for row in rows])
    return len(rows) == BATCH


async def _select(cur: Cursor) -> list[Row]:
    return await fetch_all(
        cur,
        """
        SELECT id, entry, created_at, extract(epoch FROM tocsin.now() - created_at)::float8 AS age
        FROM audit_queue ORDER BY id LIMIT %(limit)s
        """,
        limit=BATCH,
    )
