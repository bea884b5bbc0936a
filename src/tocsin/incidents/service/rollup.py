"""Keep the roll-up current, from which figures over days and weeks are read."""

from typing import Final

from tocsin.incidents.repository import gauges, rollup
from tocsin.kernel.db import Database, transaction
from tocsin.kernel.failpoints import Failpoint

MAX_STATUS_CHANGES: Final = 200
"""Differences in the number of incidents by status that are left to each scrape to add up."""
ROLL_UP: Final = Failpoint("incidents.roll_up")


async def roll_up(db: Database, *, limit: int) -> bool:
    """Recompute the figures of up to *limit* marked days and services; return whether there may be more.

    While another replica does so, this is a no-op.
    """
    async with ROLL_UP(), transaction(db) as cur:
        if not await rollup.lock_rollup(cur):
            return False
        await gauges.merge_status_changes(cur, more_than=MAX_STATUS_CHANGES)
        stale = await rollup.delete_stale(cur, limit=limit)
        if not stale:
            return await rollup.mark_history(cur)
        days, services = [row["day"] for row in stale], [row["service"] for row in stale]
        await rollup.refresh_services(cur, days=days, services=services)
        await rollup.refresh_teams(cur, sorted(set(days)))
        await rollup.refresh_weeks(cur, days=days, services=services)
    return True
