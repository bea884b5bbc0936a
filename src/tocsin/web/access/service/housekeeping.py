"""Delete what has expired."""

from tocsin.kernel import idempotency
from tocsin.kernel.db import transaction
from tocsin.web.access.repository import housekeeping
from tocsin.web.access.service import Deps


async def delete_expired(deps: Deps) -> bool:
    """Delete a batch of what has expired, and of the idempotency keys.

    Return whether there may be more.
    """
    async with transaction(deps.db) as cur:
        more = await housekeeping.delete_expired(cur)
    return await idempotency.delete_expired(deps.db) or more
