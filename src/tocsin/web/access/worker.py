"""Background loops of accounts."""

from typing import Final

from aiohttp import web

from tocsin.kernel.audit_entry import Entry
from tocsin.kernel.audit_refusals import refusals_worker
from tocsin.kernel.workers import Context, worker
from tocsin.web.access.service import DEPS, audit, housekeeping

SWEEP_SECONDS: Final = 300.0


def workers(app: web.Application) -> list[Context]:
    """Return every background loop of accounts, and what they need, in starting order."""
    deps = app[DEPS]
    return [
        deps.passwords.context,
        *([deps.provider.context] if deps.provider else []),
        worker("access_expiry", delete_expired, interval=SWEEP_SECONDS),
        worker("audit_retention", delete_old_entries, interval=SWEEP_SECONDS),
        refusals_worker(_store),
    ]


async def delete_expired(app: web.Application) -> bool:
    """Delete what has expired."""
    return await housekeeping.delete_expired(app[DEPS])


async def delete_old_entries(app: web.Application) -> bool:
    """Delete the entries of the audit that are past the retention."""
    return await housekeeping.delete_old_entries(app[DEPS])


async def _store(app: web.Application, entries: list[Entry]) -> None:
    await audit.store(app[DEPS], entries)
