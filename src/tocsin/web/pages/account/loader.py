"""Load what the page of an account shows."""

from aiohttp import web

from tocsin.kernel.pagination import MAX_LIMIT
from tocsin.web.access.domain.identity import Identity
from tocsin.web.access.queries import SessionsQuery, TokensQuery
from tocsin.web.access.service import DEPS, accounts, oidc, passkeys, sessions, tokens
from tocsin.web.pages.account.view import AccountData


async def load_account(app: web.Application, identity: Identity) -> AccountData:
    """Return an account with its newest log-ins and tokens, its passkeys and its providers."""
    deps = app[DEPS]
    return AccountData(
        await accounts.get_account(deps, identity.account_id),
        (await sessions.list_sessions(deps, identity, SessionsQuery(limit=MAX_LIMIT))).items,
        (await tokens.list_tokens(deps, identity.account_id, TokensQuery(limit=MAX_LIMIT))).items,
        await oidc.list_links(deps, identity.account_id),
        await passkeys.list_passkeys(deps, identity.account_id),
        passkeys.origin_of(deps),
        passkeys.unavailability(deps),
    )
