"""Tokens, by which programs and the command line prove whose they are."""

from collections.abc import Set as AbstractSet
from typing import Final
from uuid import UUID

import structlog

from tocsin.contracts.accounts import CreatedToken, Token, TokenIn
from tocsin.contracts.model import Page
from tocsin.kernel.db import autocommit, transaction
from tocsin.kernel.errors import ForbiddenError, InvalidRequestError
from tocsin.kernel.ids import new_id
from tocsin.kernel.pagination import ListQuery
from tocsin.kernel.principal import Scope
from tocsin.web.access.domain.roles import GRANTABLE, scopes_of
from tocsin.web.access.domain.secret_values import PREFIX_OF, digest_of, new_secret, shown_prefix
from tocsin.web.access.repository import accounts, tokens
from tocsin.web.access.service import Deps

log = structlog.get_logger(__name__)
NAMES: Final = ", ".join(GRANTABLE)


async def list_tokens(deps: Deps, account_id: UUID, query: ListQuery) -> Page[Token]:
    """Return a page of the tokens of an account, newest first. Raise NotFoundError if there is no such account."""
    async with autocommit(deps.db) as cur:
        await accounts.get_account(cur, account_id)
        found, cursor = await tokens.list_tokens(cur, account_id, query)
    return Page[Token](items=found, next_cursor=cursor)


async def create_token(
    deps: Deps, account_id: UUID, given: TokenIn, *, creator: AbstractSet[Scope] = frozenset(Scope)
) -> CreatedToken:
    """Create a token of an account; its secret is in the result only.

    It may do at most what the account and its *creator* may: a token cannot create one that may do more. Raise
    NotFoundError, InvalidRequestError, ForbiddenError.
    """
    token_id = new_id()
    async with transaction(deps.db) as cur:
        account = await accounts.get_account(cur, account_id)
        allowed = scopes_of(account.role)
        limit = given.scopes
        if limit is not None and not set(limit) <= set(GRANTABLE) & set(allowed):
            names = ", ".join(scope for scope in GRANTABLE if scope in allowed)
            detail = f"A token of {account.name} ({account.role}) can have: {names}."
            raise InvalidRequestError([{"pointer": "#/scopes", "detail": detail}])
        if not scopes_of(account.role, limit) <= creator:
            msg = "A token cannot create one that may do more than itself: limit its scopes, or create it on the pages."
            raise ForbiddenError(msg)
        secret = new_secret(PREFIX_OF[account.kind])
        await tokens.insert_token(
            cur,
            token_id,
            given,
            account_id=account_id,
            secret_hash=digest_of(secret) or b"",
            prefix=shown_prefix(secret),
        )
        created = await tokens.get_token(cur, account_id, token_id)
    log.info("token created", account_id=str(account_id), token_id=str(token_id))
    return CreatedToken(**created.model_dump(), token=secret)


async def revoke_token(deps: Deps, account_id: UUID, token_id: UUID) -> Token:
    """Revoke a token, and return what it was. Raise NotFoundError."""
    async with transaction(deps.db) as cur:
        token = await tokens.get_token(cur, account_id, token_id)
        await tokens.delete_token(cur, token_id)
    log.info("token revoked", account_id=str(account_id), token_id=str(token_id))
    return token
