"""The background loops of accounts."""

from collections.abc import Sequence

import structlog
from aiohttp import web

from tocsin.kernel.db import transaction
from tocsin.kernel.idempotency import delete_expired_keys
from tocsin.kernel.workers import Context, worker
from tocsin.web.access.repository import expiry
from tocsin.web.access.service import DEPS

log = structlog.get_logger(__name__)
SWEEP_SECONDS = 600.0


async def _delete_expired(app: web.Application) -> bool:
    deps = app[DEPS]
    async with transaction(deps.db) as cur:
        return await expiry.delete_expired(cur, idle_days=deps.settings.session_idle_days)


def workers() -> Sequence[Context]:
    """Return the cleanup contexts of every loop."""
    return [worker("access_expiry", _delete_expired, interval=SWEEP_SECONDS), delete_expired_keys()]
