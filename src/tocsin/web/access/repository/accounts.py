"""Statements on accounts."""

from typing import Final
from uuid import UUID

from tocsin.contracts.accounts import Account, AccountIn
from tocsin.kernel.db import Cursor, defer, execute, fetch_all, fetch_one, required
from tocsin.kernel.pagination import ListQuery, page_of

SELECT_ACCOUNTS: Final = """
    SELECT id, kind, name, email, role, person_id, password_hash IS NOT NULL AS has_password, version, created_at,
           disabled_at
    FROM account
    WHERE (%(id)s IS NULL OR id = %(id)s)
      AND (%(after_at)s IS NULL OR (created_at, id) < (%(after_at)s, %(after_id)s))
    ORDER BY created_at DESC, id DESC LIMIT %(fetch)s
    """


async def list_accounts(cur: Cursor, query: ListQuery) -> tuple[list[Account], str | None]:
    """Return a page of accounts, newest first, and the cursor of the next page."""
    rows = await fetch_all(cur, SELECT_ACCOUNTS, id=None, **query.after())
    return page_of(rows, query.limit, Account.model_validate)


async def get_account(cur: Cursor, account_id: UUID) -> Account:
    """Return an account. Raise NotFoundError."""
    row = await fetch_one(cur, SELECT_ACCOUNTS, id=account_id, after_at=None, after_id=None, fetch=None)
    return Account.model_validate(required(row, f"There is no account {account_id}."))


async def find_password(cur: Cursor, email: str) -> tuple[UUID, str] | None:
    """Return the id and the password hash of the account with *email*; None if it has no password or is disabled."""
    row = await fetch_one(
        cur,
        """
        SELECT id, password_hash FROM account
        WHERE lower(email) = lower(%(email)s) AND disabled_at IS NULL AND password_hash IS NOT NULL
        """,
        email=email,
    )
    return (row["id"], row["password_hash"]) if row else None


async def find_password_of(cur: Cursor, account_id: UUID) -> str | None:
    """Return the password hash of an account; None without a password."""
    row = await fetch_one(cur, "SELECT password_hash FROM account WHERE id = %(id)s", id=account_id)
    return row["password_hash"] if row else None


async def set_password(cur: Cursor, account_id: UUID, password_hash: str) -> None:
    """Set the password of an account."""
    await execute(
        cur,
        "UPDATE account SET password_hash = %(password_hash)s, version = version + 1 WHERE id = %(id)s",
        id=account_id,
        password_hash=password_hash,
    )


async def insert_account(cur: Cursor, account_id: UUID, given: AccountIn, password_hash: str | None = None) -> bool:
    """Insert an account. Return False if another one has the e-mail address or the person."""
    inserted = await execute(
        cur,
        """
        INSERT INTO account (id, kind, name, email, role, person_id, password_hash)
        VALUES (%(id)s, %(kind)s, %(name)s, %(email)s, %(role)s, %(person_id)s, %(password_hash)s)
        ON CONFLICT DO NOTHING
        """,
        id=account_id,
        password_hash=password_hash,
        **given.model_dump(),
    )
    return inserted > 0


async def update_account(cur: Cursor, account: Account) -> bool:
    """Store *account*, and increment its version. Return False if another one has its e-mail address or person."""
    updated = await execute(
        cur,
        """
        UPDATE account AS a SET name = %(name)s, email = %(email)s, role = %(role)s, person_id = %(person_id)s,
            disabled_at = CASE WHEN %(disabled)s THEN COALESCE(disabled_at, tocsin.now()) END, version = version + 1
        WHERE id = %(id)s AND NOT EXISTS (
            SELECT FROM account AS o
            WHERE o.id <> a.id AND (lower(o.email) = lower(%(email)s) OR o.person_id = %(person_id)s))
        """,
        disabled=account.disabled_at is not None,
        **account.model_dump(include={"id", "name", "email", "role", "person_id"}),
    )
    return updated > 0


async def lock_accounts(cur: Cursor) -> None:
    """Let nobody else insert or change an account until the end of the transaction. This is deferred."""
    await defer(cur, "LOCK TABLE account IN SHARE ROW EXCLUSIVE MODE")


async def has_admin(cur: Cursor, *, other_than: UUID | None = None) -> bool:
    """Return whether an enabled admin has a password, not counting the account *other_than*."""
    row = await fetch_one(
        cur,
        """
        SELECT EXISTS (SELECT FROM account WHERE role = 'admin' AND disabled_at IS NULL AND password_hash IS NOT NULL
                       AND id IS DISTINCT FROM %(other_than)s) AS found
        """,
        other_than=other_than,
    )
    return bool(required(row)["found"])
