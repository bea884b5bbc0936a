"""Statements on tokens."""

from typing import Final
from uuid import UUID

from tocsin.contracts.accounts import Token, TokenIn
from tocsin.kernel.db import Cursor, Row, execute, fetch_all, fetch_one, required
from tocsin.kernel.pagination import ListQuery, page_of

IDENTIFY: Final = """
    WITH found AS (
        SELECT t.id, t.scopes, COALESCE(t.last_used_at < tocsin.now() - interval '1 minute', true) AS stale,
               a.id AS account_id, a.kind, a.name, a.email, a.role, a.person_id
        FROM token AS t JOIN account AS a ON a.id = t.account_id
        WHERE t.secret_hash = %(secret_hash)s AND a.disabled_at IS NULL
          AND (t.expires_at IS NULL OR t.expires_at > tocsin.now())
    ), used AS (
        UPDATE token SET last_used_at = tocsin.now() WHERE id = (SELECT id FROM found WHERE stale)
    )
    SELECT * FROM found
    """
SELECT_TOKENS: Final = """
    SELECT id, name, prefix, scopes, created_at, last_used_at, expires_at FROM token
    WHERE account_id = %(account_id)s AND (%(id)s IS NULL OR id = %(id)s)
      AND (%(after_at)s IS NULL OR (created_at, id) < (%(after_at)s, %(after_id)s))
    ORDER BY created_at DESC, id DESC LIMIT %(fetch)s
    """


async def identify(cur: Cursor, secret_hash: bytes) -> Row | None:
    """Return the account of a valid token, and record its use, at most once a minute."""
    return await fetch_one(cur, IDENTIFY, secret_hash=secret_hash)


async def insert_token(
    cur: Cursor, token_id: UUID, given: TokenIn, *, account_id: UUID, secret_hash: bytes, prefix: str
) -> None:
    """Insert a token."""
    await execute(
        cur,
        """
        INSERT INTO token (id, account_id, name, secret_hash, prefix, scopes, expires_at)
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


async def list_tokens(cur: Cursor, account_id: UUID, query: ListQuery) -> tuple[list[Token], str | None]:
    """Return a page of the tokens of an account, newest first, and the cursor of the next page."""
    rows = await fetch_all(cur, SELECT_TOKENS, account_id=account_id, id=None, **query.after())
    return page_of(rows, query.limit, Token.model_validate)


async def get_token(cur: Cursor, account_id: UUID, token_id: UUID) -> Token:
    """Return a token of an account. Raise NotFoundError."""
    row = await fetch_one(
        cur, SELECT_TOKENS, account_id=account_id, id=token_id, after_at=None, after_id=None, fetch=None
    )
    return Token.model_validate(required(row, f"This account has no token {token_id}: it may be revoked already."))


async def delete_token(cur: Cursor, token_id: UUID) -> None:
    """Delete a token."""
    await execute(cur, "DELETE FROM token WHERE id = %(id)s", id=token_id)
