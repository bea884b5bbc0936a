"""Load what the page of accounts shows."""

from collections.abc import Sequence

from aiohttp import web

from tocsin.contracts.accounts import Account
from tocsin.kernel.pagination import MAX_LIMIT
from tocsin.web.access.queries import AccountsQuery
from tocsin.web.access.service import DEPS, accounts

MAX_ACCOUNTS = 2_000
"""The page shows the newest of more."""


async def load_accounts(app: web.Application) -> Sequence[Account]:
    """Return the accounts, newest first."""
    page = await accounts.list_accounts(app[DEPS], AccountsQuery(limit=MAX_LIMIT))
    found = list(page.items)
    while page.next_cursor is not None and len(found) < MAX_ACCOUNTS:
        page = await accounts.list_accounts(app[DEPS], AccountsQuery(limit=MAX_LIMIT, cursor=page.next_cursor))
        found += page.items
    return found
