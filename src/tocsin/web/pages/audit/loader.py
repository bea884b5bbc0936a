"""Load what the page of the audit shows."""

from aiohttp import web

from tocsin.kernel.pagination import MAX_LIMIT
from tocsin.web.access.queries import AccountsQuery
from tocsin.web.access.service import DEPS, accounts, audit
from tocsin.web.pages.audit.filter import AuditFilter
from tocsin.web.pages.audit.view import AuditData
from tocsin.web.settings import SETTINGS
from tocsin.web.ui.loaders import PAGE_SIZE


async def load_audit(app: web.Application, chosen: AuditFilter) -> AuditData:
    """Return the entries that are *chosen*, and the newest accounts, to choose from."""
    known = await accounts.list_accounts(app[DEPS], AccountsQuery(limit=MAX_LIMIT))
    page = await audit.list_entries(app[DEPS], chosen.query(PAGE_SIZE))
    return AuditData(chosen, page, known.items, app[SETTINGS].audit_days)
