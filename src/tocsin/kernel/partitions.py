"""Partitions by time, and what the retention drops. The functions that are called here are in each service's schema."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self
from uuid import UUID

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from tocsin.kernel.db import Cursor, Database, autocommit, fetch_all, fetch_one, required
from tocsin.kernel.errors import LockTimeoutError

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RetentionMetrics:
    """What the retention dropped, and the rows for which there is no partition."""

    dropped: Counter
    deleted: Counter
    kept: Gauge
    default_rows: Gauge

    @classmethod
    def register(cls, registry: CollectorRegistry, tables: Sequence[str]) -> Self:
        """Declare the metrics on *registry*, with each of *tables* at zero."""
        metrics = cls(
            Counter(
                "tocsin_retention_dropped_partitions_total",
                "Partitions dropped because all of their rows were past the retention.",
                ["table"],
                registry=registry,
            ),
            Counter(
                "tocsin_retention_deleted_rows_total",
                "Rows deleted one by one because they were past the retention.",
                ["table"],
                registry=registry,
            ),
            Gauge(
                "tocsin_retention_kept_partitions",
                "Partitions past the retention that are kept, because something in them is open or not finished.",
                ["table"],
                registry=registry,
            ),
            Gauge(
                "tocsin_default_partition_rows",
                "Rows without a partition of their time, at most 10,000. Must be zero.",
                ["table"],
                registry=registry,
            ),
        )
        for table in tables:
            metrics.dropped.labels(table)
            metrics.deleted.labels(table)
            metrics.kept.labels(table)
            metrics.default_rows.labels(table)
        return metrics


@dataclass(frozen=True, slots=True)
class IdRange:
    """The ids of a partition: from `starts` on, below `ends`."""

    starts: UUID
    ends: UUID


async def add_partitions(db: Database, metrics: RetentionMetrics) -> None:
    """Add the partitions of the next weeks, and count the rows for which there is none.

    If a lock is not free soon, the rest is left for the next call: inserts wait behind each attempt.
    """
    try:
        async with autocommit(db) as cur:
            while name := required(await fetch_one(cur, "SELECT add_partition() AS name"))["name"]:
                log.info("partition added", partition=name)
    except LockTimeoutError:
        log.info("no partition added: a long transaction has locked the table")
    async with autocommit(db) as cur:
        for row in await fetch_all(cur, "SELECT name, default_rows FROM count_default_rows()"):
            metrics.default_rows.labels(row["name"]).set(row["default_rows"])


async def find_expired(cur: Cursor, *, days: int) -> list[IdRange]:
    """Return the partitions of alerts whose rows are all older than *days* and not in use, oldest first."""
    rows = await fetch_all(cur, "SELECT starts, ends FROM find_expired(%(days)s)", days=days)
    return [IdRange(row["starts"], row["ends"]) for row in rows]


async def drop_alerts(db: Database, metrics: RetentionMetrics, ids: IdRange, *, days: int, table: str) -> None:
    """Drop the partitions of alerts with these *ids*, unless they are in use again or a lock is not free soon."""
    try:
        async with autocommit(db) as cur:
            row = await fetch_one(
                cur,
                "SELECT drop_alerts(%(starts)s, %(ends)s, %(days)s) AS partitions",
                starts=ids.starts,
                ends=ids.ends,
                days=days,
            )
    except LockTimeoutError:
        log.info("partition not dropped: a long transaction has locked it", table=table)
        return
    dropped = required(row)["partitions"]
    if dropped:
        metrics.dropped.labels(table).inc(dropped)
        log.info("alerts past the retention dropped", table=table, partitions=dropped, retention_days=days)


async def count_kept(db: Database, metrics: RetentionMetrics, *, days: int, table: str) -> None:
    """Set the gauge of the partitions that are past the retention."""
    async with autocommit(db) as cur:
        row = await fetch_one(
            cur,
            """
            SELECT count(*) AS partitions FROM tocsin.partitions(%(table)s::regclass)
            WHERE ends <= tocsin.id_at(tocsin.now() - %(days)s * interval '1 day')
            """,
            table=table,
            days=days,
        )
    metrics.kept.labels(table).set(required(row)["partitions"])
