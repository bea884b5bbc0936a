"""Deliver the entries that a service has recorded to the web service, which stores the audit."""

from dataclasses import dataclass
from typing import Final, Self

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, Gauge

from tocsin.clients.access import ACCESS
from tocsin.kernel.app import REGISTRY
from tocsin.kernel.db import DB, Cursor, Row, autocommit, execute, fetch_all
from tocsin.kernel.errors import RejectedError, UnavailableError
from tocsin.kernel.service_settings import ServiceSettings
from tocsin.kernel.workers import worker

log = structlog.get_logger(__name__)
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


def with_audit(app: web.Application, settings: ServiceSettings) -> None:
    """Deliver the entries of `audit_queue` while *app* runs, if its mode is closed. Call it after `with_tokens`."""
    app[AUDIT_METRICS] = AuditMetrics.register(app[REGISTRY])
    if settings.access == "closed":
        app.cleanup_ctx.append(worker("audit", deliver, interval=settings.poll_seconds))


async def deliver(app: web.Application) -> bool:
    """Deliver the oldest entries. Return whether there may be more.

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
        await app[ACCESS].store_audit(entries)
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
