"""Tokens of accounts."""

from typing import Any, Final
from uuid import UUID

from tocsin.contracts.accounts import Role, Token, TokenIn
from tocsin.kernel.db import Cursor, execute, fetch_all, fetch_one, required
from tocsin.kernel.pagination import page_of
from tocsin.web.access.domain.identity import token_scopes
from tocsin.web.access.queries import TokensQuery
from tocsin.web.access.repository.sessions import FoundIdentity, found_identity

SELECT_TOKENS: Final = """
    SELECT id, name, prefix, scopes, created_at, last_used_at, expires_at
    FROM access.token
    WHERE account_id = %(account_id)s AND (%(id)s::uuid IS NULL OR id = %(id)s)
      AND (%(after_at)s::timestamptz IS NULL OR (created_at, id) < (%(after_at)s, %(after_id)s::uuid))
    ORDER BY created_at DESC, id DESC
    LIMIT %(fetch)s
"""
NO_FILTER: Final[dict[str, Any]] = {"id": None, "after_at": None, "after_id": None, "fetch": None}


async def find_identity(cur: Cursor, secret_hash: bytes) -> FoundIdentity | None:
    """Return the identity of a token; None if it is unknown or has expired, or if its account is disabled."""
    row = await fetch_one(
        cur,
        """
        SELECT a.id AS account_id, a.kind, a.name, a.email, a.role, a.person_id, t.id AS token_id, t.scopes,
               extract(epoch FROM t.expires_at - tocsin.now())::float8 AS seconds_left,
               COALESCE(t.last_used_at > tocsin.now() - interval '1 minute', false) AS use_is_recorded
        FROM access.token AS t JOIN access.account AS a ON a.id = t.account_id
        WHERE t.secret_hash = %(secret_hash)s AND a.disabled_at IS NULL
          AND (t.expires_at IS NULL OR t.expires_at > tocsin.now())
        """,
        secret_hash=secret_hash,
    )
    return found_identity(row, scopes=token_scopes(Role(row["role"]), row["scopes"])) if row else None


async def record_use(cur: Cursor, token_id: UUID) -> None:
    """Set when a token was last used, unless a concurrent request is doing it."""
    await execute(
        cur,
        """
        UPDATE access.token SET last_used_at = tocsin.now()
        WHERE id = (SELECT id FROM access.token
                    WHERE id = %(id)s
                      AND (last_used_at IS NULL OR last_used_at <= tocsin.now() - interval '1 minute')
                    FOR UPDATE SKIP LOCKED)
        """,
        id=token_id,
    )


async def insert_token(
    cur: Cursor, token_id: UUID, given: TokenIn, *, account_id: UUID, secret_hash: bytes, prefix: str
) -> None:
    """Insert a token."""
    await execute(
        cur,
        """
        INSERT INTO access.token (id, account_id, name, secret_hash, prefix, scopes, expires_at)
        VALUES (%(id)s, %(account_id)s, %(name)s, %(secret_hash)s, %(prefix)s, %(scopes)s::text[],
                tocsin.now() + %(days)s * interval '1 day')
        """,
        id=token_id,
        account_id=account_id,
        name=given.name,
        secret_hash=secret_hash,
        prefix=prefix,
        scopes=given.scopes,
        days=given.expires_in_days,
    )


async def list_tokens(cur: Cursor, account_id: UUID, query: TokensQuery) -> tuple[list[Token], str | None]:
    """Return a page of an account's tokens, newest first, and the cursor of the next page."""
    filters = {**NO_FILTER, "account_id": account_id, **query.after()}
    return page_of(await fetch_all(cur, SELECT_TOKENS, **filters), query.limit, Token.model_validate)


async def get_token(cur: Cursor, account_id: UUID, token_id: UUID) -> Token:
    """Return a token of an account. Raise NotFoundError."""
    row = await fetch_one(cur, SELECT_TOKENS, **{**NO_FILTER, "account_id": account_id, "id": token_id})
    return Token.model_validate(required(row, f"The account has no token {token_id}."))


async def delete_token(cur: Cursor, account_id: UUID, token_id: UUID) -> bool:
    """Delete a token of an account. Return False if there is none."""
    deleted = await execute(
        cur,
        "DELETE FROM access.token WHERE id = %(id)s AND account_id = %(account_id)s",
        id=token_id,
        account_id=account_id,
    )
    return deleted > 0
