"""Add the partitions of the next weeks, and drop alerts past the retention: incidents keep the first and the last."""

from typing import Final
from uuid import UUID

import structlog

from tocsin.contracts.incidents import AlertsInUse
from tocsin.incidents.repository import retention
from tocsin.incidents.service import Deps
from tocsin.kernel.db import autocommit
from tocsin.kernel.partitions import IdRange, add_partitions, count_kept, drop_alerts, find_expired

log = structlog.get_logger(__name__)
ALERTS: Final = "incidents.incident_alert"


async def alerts_in_use(deps: Deps, ids: IdRange) -> AlertsInUse:
    """Return whether an alert of *ids* belongs to an unresolved incident."""
    async with autocommit(deps.db) as cur:
        return AlertsInUse(in_use=await retention.has_unresolved(cur, ids))


async def maintain_partitions(deps: Deps) -> None:
    """Add and drop partitions; one round of the worker.

    Alerts are dropped only if all incidents of their partition are resolved and no alert can change any more. Their
    incidents keep their counts, and each the first and the last alert of the partition.
    """
    await add_partitions(deps.db, deps.retention)
    days = deps.alert_retention_days
    if not days:
        return
    deleted = 0
    async with autocommit(deps.db) as cur:
        while rows := await retention.delete_expired_default_rows(cur, days=days):
            deleted += rows
        expired = await find_expired(cur, days=days)
    if deleted:
        deps.retention.deleted.labels(ALERTS).inc(deleted)
        log.info("alerts past the retention deleted", rows=deleted)
    for ids in expired:
        if await _keep_alerts(deps, ids):
            await drop_alerts(deps.db, deps.retention, ids, days=days, table=ALERTS)
    await count_kept(deps.db, deps.retention, days=days, table=ALERTS)


async def _keep_alerts(deps: Deps, ids: IdRange) -> bool:
    """Copy the first and the last alert of each incident; return False if an alert can still change."""
    after: UUID | None = UUID(int=0)
    async with autocommit(deps.db) as cur:
        while after is not None:
            after, is_open = await retention.keep_alerts(cur, ids, after=after)
            if is_open:
                return False
    return True
