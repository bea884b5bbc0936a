"""Accounts and their passwords."""

from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from tocsin.contracts.accounts import Account, AccountIn
from tocsin.kernel.db import Cursor, defer, execute, fetch_all, fetch_one, required
from tocsin.kernel.pagination import page_of
from tocsin.web.access.queries import AccountsQuery

SELECT_ACCOUNTS: Final = """
    SELECT id, kind, name, email, role, person_id, password_hash IS NOT NULL AS has_password, version, created_at,
           disabled_at, EXISTS (SELECT FROM access.external_identity WHERE account_id = account.id) AS is_linked,
           (SELECT count(*) FROM access.passkey WHERE account_id = account.id) AS passkeys
    FROM access.account
    WHERE (%(id)s::uuid IS NULL OR id = %(id)s)
      AND (%(email)s::text IS NULL OR lower(email) = lower(%(email)s))
      AND (%(person_id)s::uuid IS NULL OR person_id = %(person_id)s)
      AND (%(kind)s::text IS NULL OR kind = %(kind)s)
      AND (%(role)s::text IS NULL OR role = %(role)s)
      AND (%(q)s::text IS NULL OR strpos(lower(name || ' ' || COALESCE(email, '')), lower(%(q)s)) > 0)
      AND (%(after_at)s::timestamptz IS NULL OR (created_at, id) < (%(after_at)s, %(after_id)s::uuid))
    ORDER BY created_at DESC, id DESC
    LIMIT %(fetch)s
"""
NO_FILTER: Final = dict.fromkeys(
    ("id", "email", "person_id", "kind", "role", "q", "after_at", "after_id", "fetch"), None
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a log-in is checked against."""

    account_id: UUID
    password_hash: str = field(repr=False)
    name: str = ""


async def list_accounts(cur: Cursor, query: AccountsQuery) -> tuple[list[Account], str | None]:
    """Return a page of accounts, newest first, and the cursor of the next page."""
    filters = {**NO_FILTER, **query.model_dump(include={"q", "kind", "role"}), **query.after()}
    return page_of(await fetch_all(cur, SELECT_ACCOUNTS, **filters), query.limit, Account.model_validate)


async def get_account(cur: Cursor, account_id: UUID) -> Account:
    """Return an account. Raise NotFoundError."""
    row = await fetch_one(cur, SELECT_ACCOUNTS, **{**NO_FILTER, "id": account_id})
    return Account.model_validate(
        required(row, f"There is no account {account_id}. GET /api/v1/accounts lists the accounts.")
    )


async def find_account(cur: Cursor, *, email: str | None = None, person_id: UUID | None = None) -> Account | None:
    """Return the account with an e-mail address, whatever the case of its letters, or that of a person."""
    row = await fetch_one(cur, SELECT_ACCOUNTS, **{**NO_FILTER, "email": email, "person_id": person_id})
    return Account.model_validate(row) if row else None


async def find_credentials(cur: Cursor, email: str) -> Credentials | None:
    """Return what a log-in is checked against; None if no enabled account with a password has the e-mail address."""
    row = await fetch_one(
        cur,
        """
        SELECT id, password_hash, name FROM access.account
        WHERE lower(email) = lower(%(email)s) AND disabled_at IS NULL AND password_hash IS NOT NULL
        """,
        email=email,
    )
    return Credentials(row["id"], row["password_hash"], row["name"]) if row else None


async def lock_accounts(cur: Cursor) -> None:
    """Let nobody else insert or change an account until the end of the transaction. This is deferred.

    A transaction that calls it calls it first: one that already holds a row could wait for one that waits for the row.
    """
    await defer(cur, "LOCK TABLE access.account IN SHARE ROW EXCLUSIVE MODE")


async def insert_account(cur: Cursor, account_id: UUID, given: AccountIn, *, password_hash: str | None = None) -> None:
    """Insert an account; the caller has locked the accounts, and knows that no other has the e-mail or the person."""
    await execute(
        cur,
        """
        INSERT INTO access.account (id, kind, name, email, role, person_id, password_hash)
        VALUES (%(id)s, %(kind)s, %(name)s, %(email)s, %(role)s, %(person_id)s, %(password_hash)s)
        """,
        id=account_id,
        password_hash=password_hash,
        **_columns(given),
    )


async def update_account(cur: Cursor, wanted: Account, *, disabled: bool) -> None:
    """Change an account; the caller has locked the accounts, and knows that no other has the e-mail or the person."""
    await execute(
        cur,
        """
        UPDATE access.account
        SET name = %(name)s, email = %(email)s, role = %(role)s, person_id = %(person_id)s, version = version + 1,
            disabled_at = CASE WHEN %(disabled)s THEN COALESCE(disabled_at, tocsin.now()) END
        WHERE id = %(id)s
        """,
        id=wanted.id,
        disabled=disabled,
        **_columns(wanted),
    )


async def count_admins(cur: Cursor, *, except_for: UUID | None = None) -> int:
    """Return the number of enabled admins who have a password or a passkey, and so can log in."""
    row = required(
        await fetch_one(
            cur,
            """
            SELECT count(*) AS admins FROM access.account
            WHERE kind = 'person' AND role = 'admin' AND disabled_at IS NULL
              AND (password_hash IS NOT NULL
                   OR EXISTS (SELECT FROM access.passkey WHERE account_id = account.id))
              AND id IS DISTINCT FROM %(except_for)s::uuid
            """,
            except_for=except_for,
        )
    )
    return int(row["admins"])


async def set_password(cur: Cursor, account_id: UUID, password_hash: str) -> bool:
    """Set the password of an enabled account. Return False if it is disabled."""
    updated = await execute(
        cur,
        """
        UPDATE access.account SET password_hash = %(password_hash)s, version = version + 1
        WHERE id = %(id)s AND disabled_at IS NULL
        """,
        id=account_id,
        password_hash=password_hash,
    )
    return updated > 0


async def renew_hash(cur: Cursor, known: Credentials, password_hash: str) -> bool:
    """Replace the hash of the same password. Return False if the password has changed or the account is disabled."""
    updated = await execute(
        cur,
        """
        UPDATE access.account SET password_hash = %(new)s
        WHERE id = %(id)s AND password_hash = %(known)s AND disabled_at IS NULL
        """,
        id=known.account_id,
        known=known.password_hash,
        new=password_hash,
    )
    return updated > 0


async def lock_credentials(cur: Cursor, known: Credentials) -> bool:
    """Lock an account until the end of the transaction. Return False if the password has changed or it is disabled."""
    row = await fetch_one(
        cur,
        """
        SELECT id FROM access.account
        WHERE id = %(id)s AND password_hash = %(known)s AND disabled_at IS NULL
        FOR SHARE
        """,
        id=known.account_id,
        known=known.password_hash,
    )
    return row is not None


def _columns(account: AccountIn | Account) -> dict[str, Any]:
    return {
        "kind": account.kind.value,
        "name": account.name,
        "email": account.email,
        "role": account.role.value,
        "person_id": account.person_id,
    }
