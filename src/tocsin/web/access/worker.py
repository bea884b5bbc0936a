"""Background loops of accounts."""

from typing import Final

from aiohttp import web

from tocsin.kernel.workers import Context, worker
from tocsin.web.access.service import DEPS, housekeeping

SWEEP_SECONDS: Final = 300.0


def workers(app: web.Application) -> list[Context]:
    """Return every background loop of accounts, and what they need, in starting order."""
    deps = app[DEPS]
    return [
        deps.passwords.context,
        *([deps.provider.context] if deps.provider else []),
        worker("access_expiry", delete_expired, interval=SWEEP_SECONDS),
    ]


async def delete_expired(app: web.Application) -> bool:
    """Delete what has expired."""
    return await housekeeping.delete_expired(app[DEPS])
