"""Delete what has expired."""

import structlog

from tocsin.kernel import idempotency
from tocsin.kernel.db import transaction
from tocsin.web.access.repository import audit, housekeeping
from tocsin.web.access.service import Deps

log = structlog.get_logger(__name__)


async def delete_expired(deps: Deps) -> bool:
    """Delete a batch of what has expired, and of the idempotency keys.

    Return whether there may be more.
    """
    async with transaction(deps.db) as cur:
        more = await housekeeping.delete_expired(cur)
    return await idempotency.delete_expired(deps.db) or more


async def delete_old_entries(deps: Deps) -> bool:
    """Delete a batch of the audit's entries that are past the retention. Return whether there may be more."""
    days = deps.settings.audit_days
    if not days:
        return False
    async with transaction(deps.db) as cur:
        deleted = await audit.delete_expired(cur, days=days)
    if deleted:
        deps.deleted.labels("audit").inc(deleted)
        log.info("audit past the retention deleted", rows=deleted, retention_days=days)
    return deleted > 0
