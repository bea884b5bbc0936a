"""Load what the page of an account shows."""

from uuid import UUID

from aiohttp import web

from tocsin.kernel.pagination import MAX_LIMIT, ListQuery
from tocsin.web.access.service import DEPS, accounts, sessions, tokens
from tocsin.web.pages.account.view import AccountData


async def load_account(app: web.Application, account_id: UUID, session_id: UUID | None) -> AccountData:
    """Return an account with its log-ins and tokens; *session_id* is the log-in that asks."""
    deps = app[DEPS]
    return AccountData(
        await accounts.get_account(deps, account_id),
        await sessions.list_sessions(deps, account_id, session_id),
        (await tokens.list_tokens(deps, account_id, ListQuery(limit=MAX_LIMIT))).items,
    )
