"""Add the partitions of the next weeks, and drop what is past the retention."""

from typing import Final

import structlog

from tocsin.alerts.service import Deps
from tocsin.kernel.db import autocommit, fetch_one, required
from tocsin.kernel.errors import LockTimeoutError, RejectedError
from tocsin.kernel.http_client import ONCE
from tocsin.kernel.partitions import add_partitions, count_kept, drop_alerts, find_expired

log = structlog.get_logger(__name__)
ALERTS: Final = "alerts.alert"
REQUESTS: Final = "alerts.request"
FOR_EVER: Final = 36_500
"""Days: rows of the default partition are not deleted where everything is kept."""


async def maintain_partitions(deps: Deps) -> None:
    """Add and drop partitions; one round of the worker.

    An alert is dropped only if no alert of its partition is open, unforwarded or linked to an unresolved incident.
    Raise UnavailableError if incident management, which knows the last, does not respond: nothing is dropped then.
    """
    settings, metrics = deps.settings, deps.retention
    await add_partitions(deps.db, metrics)
    await _delete_default_rows(deps)
    if settings.request_retention_days:
        await _drop_requests(deps, days=settings.request_retention_days)
    if not settings.alert_retention_days:
        return
    async with autocommit(deps.db) as cur:
        expired = await find_expired(cur, days=settings.alert_retention_days)
    for ids in expired:
        try:
            use = await deps.incidents.alerts_in_use(ids.starts, ids.ends, budget=ONCE)
        except RejectedError as exc:  # of a release that does not know this request
            log.warning("alerts past the retention not dropped", reason=str(exc))
            return
        if not use.in_use:
            await drop_alerts(deps.db, metrics, ids, days=settings.alert_retention_days, table=ALERTS)
    await count_kept(deps.db, metrics, days=settings.alert_retention_days, table=ALERTS)


async def _drop_requests(deps: Deps, *, days: int) -> None:
    dropped = 0
    try:
        async with autocommit(deps.db) as cur:
            while required(await fetch_one(cur, "SELECT drop_requests(%(days)s) AS partitions", days=days))[
                "partitions"
            ]:
                dropped += 1
    except LockTimeoutError:
        log.info("partition not dropped: a long transaction has locked it", table=REQUESTS)
    if dropped:
        deps.retention.dropped.labels(REQUESTS).inc(dropped)
        log.info("raw requests past the retention dropped", partitions=dropped, retention_days=days)


async def _delete_default_rows(deps: Deps) -> None:
    settings, deleted = deps.settings, 0
    async with autocommit(deps.db) as cur:
        while rows := required(
            await fetch_one(
                cur,
                "SELECT delete_expired_default_rows(%(alert_days)s, %(request_days)s) AS rows",
                alert_days=settings.alert_retention_days or FOR_EVER,
                request_days=settings.request_retention_days or FOR_EVER,
            )
        )["rows"]:
            deleted += rows
    if deleted:
        deps.retention.deleted.labels(ALERTS).inc(deleted)
        log.info("alerts past the retention deleted", rows=deleted)
