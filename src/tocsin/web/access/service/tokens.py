"""Tokens: create, list and revoke them."""

from typing import Final
from uuid import UUID

import structlog

from tocsin.contracts.accounts import Account, AccountKind, CreatedToken, Token, TokenIn
from tocsin.contracts.audit import AuditAction
from tocsin.contracts.model import Page
from tocsin.kernel.audit_entry import Subject
from tocsin.kernel.db import Cursor, autocommit, transaction
from tocsin.kernel.errors import ConflictError, ForbiddenError, InvalidRequestError
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.idempotency import replay
from tocsin.kernel.idempotent_request import IdempotentRequest
from tocsin.kernel.ids import new_id
from tocsin.kernel.principal import Principal
from tocsin.web.access.domain.bearer_secrets import PERSONAL_TOKEN, SERVICE_TOKEN, digest, new_secret, shown_part
from tocsin.web.access.domain.identity import Identity, beyond
from tocsin.web.access.domain.sessions import NewSession
from tocsin.web.access.queries import TokensQuery
from tocsin.web.access.repository import accounts, tokens
from tocsin.web.access.service import Deps, audit
from tocsin.web.access.service.identification import identify_session
from tocsin.web.access.service.sessions import end_session

log = structlog.get_logger(__name__)
CREATE: Final = Failpoint("access.create_token")
SHOWN_ONCE: Final = (
    "An earlier request with the same Idempotency-Key created the token; its response had the secret, which is shown"
    " only once. If it was lost, revoke this token and create another one."
)


async def list_tokens(deps: Deps, account_id: UUID, query: TokensQuery) -> Page[Token]:
    """Return a page of an account's tokens, newest first. Raise NotFoundError."""
    async with autocommit(deps.db) as cur:
        await accounts.get_account(cur, account_id)
        found, cursor = await tokens.list_tokens(cur, account_id, query)
    return Page[Token](items=found, next_cursor=cursor)


async def create_personal_token(
    deps: Deps, identity: Identity, given: TokenIn, *, request: IdempotentRequest | None
) -> CreatedToken:
    """Create a token of one's own account. Raise ForbiddenError without a session, and as `create_service_token` does.

    With a token, that could be a way to more scopes or a later expiry than it has.
    """
    if identity.session_id is None:
        msg = "Log in to create a token: a token cannot create another one."
        raise ForbiddenError(msg)
    return await _create(deps, identity.account_id, given, AccountKind.PERSON, request, by=identity.principal)


async def exchange_session(deps: Deps, session: NewSession, given: TokenIn) -> CreatedToken:
    """Create a token of the account that has just logged in, and end the session: a command line keeps no cookie."""
    identity = await identify_session(deps, session.secret)
    if identity is None:
        msg = "The session has ended before the token was created; try again."
        raise ConflictError(msg)
    created = await create_personal_token(deps, identity, given, request=None)
    await end_session(deps, identity, session.id)
    return created


async def create_service_token(
    deps: Deps, account_id: UUID, given: TokenIn, *, request: IdempotentRequest | None
) -> CreatedToken:
    """Create a token of a program's account; for admins.

    A repeated *request* gets the token without its secret, which is shown once, and a note that says so. Raise
    NotFoundError; ConflictError if the account is disabled or a person's; InvalidRequestError for a scope that the
    account's role does not have.
    """
    return await _create(deps, account_id, given, AccountKind.SERVICE, request)


async def revoke_token(deps: Deps, account_id: UUID, token_id: UUID) -> Token:
    """Revoke a token of an account, and return it. Raise NotFoundError."""
    async with transaction(deps.db) as cur:
        revoked = await tokens.get_token(cur, account_id, token_id)
        if await tokens.delete_token(cur, account_id, token_id):
            account = await accounts.get_account(cur, account_id)
            await _record(cur, AuditAction.TOKEN_REVOKE, account, revoked)
    deps.seen.forget_account(account_id)
    log.info("token revoked", account_id=str(account_id), token_id=str(token_id))
    return revoked


async def _create(
    deps: Deps,
    account_id: UUID,
    given: TokenIn,
    kind: AccountKind,
    request: IdempotentRequest | None,
    *,
    by: Principal | None = None,
) -> CreatedToken:
    token_id = new_id()
    secret = new_secret(PERSONAL_TOKEN if kind is AccountKind.PERSON else SERVICE_TOKEN)
    async with CREATE(), transaction(deps.db) as cur:
        account = await accounts.get_account(cur, account_id)
        first = await replay(cur, request, token_id)
        if first is not None:
            token = await tokens.get_token(cur, account_id, first)
            return CreatedToken(**token.model_dump(), token=None, note=SHOWN_ONCE)
        if account.kind is not kind:
            msg = f"{account.name} is a person: only they can create their tokens."
            raise ConflictError(msg)
        if account.disabled_at is not None:
            msg = f"The account of {account.name} is disabled. Enable it first."
            raise ConflictError(msg)
        refused = beyond(account.role, given.scopes or [])
        if refused:
            detail = f"the role {account.role} does not have this scope"
            raise InvalidRequestError(
                [
                    {"pointer": f"#/scopes/{position}", "detail": f"{name[:64]}: {detail}"}
                    for position, name in refused.items()
                ]
            )
        await tokens.insert_token(
            cur, token_id, given, account_id=account_id, secret_hash=digest(secret), prefix=shown_part(secret)
        )
        token = await tokens.get_token(cur, account_id, token_id)
        await _record(cur, AuditAction.TOKEN_CREATE, account, token, by=by)
    log.info("token created", account_id=str(account_id), token_id=str(token_id))
    return CreatedToken(**token.model_dump(), token=secret)


async def _record(
    cur: Cursor, action: AuditAction, account: Account, token: Token, *, by: Principal | None = None
) -> None:
    fields = {"account": account.name, **token.model_dump(mode="json", include={"name", "scopes", "expires_at"})}
    kept = {"after": fields} if action is AuditAction.TOKEN_CREATE else {"before": fields}
    await audit.record(cur, action, Subject("token", token.id, token.name), **kept, by=by)
