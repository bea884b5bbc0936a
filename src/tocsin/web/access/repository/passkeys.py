"""Passkeys of accounts, and what browsers are asked to sign with them."""

from uuid import UUID

from tocsin.contracts.accounts import Passkey
from tocsin.kernel.db import Cursor, execute, fetch_all, fetch_one
from tocsin.web.access.domain.passkeys import CHALLENGE_SECONDS, Credential, StoredPasskey


async def insert_challenge(cur: Cursor, challenge: bytes, *, account_id: UUID | None) -> None:
    """Insert what a browser is asked to sign: for a passkey of an account, or for a log-in."""
    await execute(
        cur,
        """
        INSERT INTO access.challenge (challenge, account_id, expires_at)
        VALUES (%(challenge)s, %(account_id)s, tocsin.now() + %(seconds)s * interval '1 second')
        """,
        challenge=challenge,
        account_id=account_id,
        seconds=CHALLENGE_SECONDS,
    )


async def use_challenge(cur: Cursor, challenge: bytes, *, account_id: UUID | None) -> bool:
    """Delete what a browser was asked to sign. Return False if it is unknown, used, expired or for something else."""
    deleted = await execute(
        cur,
        """
        DELETE FROM access.challenge
        WHERE challenge = %(challenge)s AND expires_at > tocsin.now()
          AND account_id IS NOT DISTINCT FROM %(account_id)s::uuid
        """,
        challenge=challenge,
        account_id=account_id,
    )
    return deleted > 0


async def insert_passkey(cur: Cursor, passkey_id: UUID, new: Credential, *, account_id: UUID, name: str) -> bool:
    """Insert a passkey. Return False if there is one with its credential id, of whichever account."""
    inserted = await execute(
        cur,
        """
        INSERT INTO access.passkey (id, account_id, name, credential_id, public_key, sign_count, transports)
        VALUES (%(id)s, %(account_id)s, %(name)s, %(credential_id)s, %(public_key)s, %(sign_count)s,
                %(transports)s::text[])
        ON CONFLICT (credential_id) DO NOTHING
        """,
        id=passkey_id,
        account_id=account_id,
        name=name,
        credential_id=new.credential_id,
        public_key=new.public_key,
        sign_count=new.sign_count,
        transports=list(new.transports),
    )
    return inserted > 0


async def list_passkeys(cur: Cursor, account_id: UUID) -> list[Passkey]:
    """Return the passkeys of an account, newest first."""
    rows = await fetch_all(
        cur,
        """
        SELECT id, name, created_at, last_used_at FROM access.passkey
        WHERE account_id = %(account_id)s ORDER BY created_at DESC, id DESC
        """,
        account_id=account_id,
    )
    return [Passkey.model_validate(row) for row in rows]


async def list_credentials(cur: Cursor, account_id: UUID) -> list[Credential]:
    """Return what the passkeys of an account are recognised by."""
    rows = await fetch_all(
        cur,
        """
        SELECT credential_id, public_key, sign_count, transports FROM access.passkey
        WHERE account_id = %(account_id)s ORDER BY created_at DESC, id DESC
        """,
        account_id=account_id,
    )
    return [
        Credential(bytes(row["credential_id"]), bytes(row["public_key"]), row["sign_count"], row["transports"])
        for row in rows
    ]


async def find_passkey(cur: Cursor, credential_id: bytes) -> StoredPasskey | None:
    """Return the passkey with a credential id; None if it is unknown."""
    row = await fetch_one(
        cur,
        """
        SELECT p.id, p.account_id, a.name, p.public_key
        FROM access.passkey AS p JOIN access.account AS a ON a.id = p.account_id
        WHERE p.credential_id = %(credential_id)s
        """,
        credential_id=credential_id,
    )
    return StoredPasskey(row["id"], row["account_id"], row["name"], bytes(row["public_key"])) if row else None


async def lock_account(cur: Cursor, account_id: UUID) -> bool:
    """Lock an account until the end of the transaction. Return False if it is disabled."""
    row = await fetch_one(
        cur,
        "SELECT id FROM access.account WHERE id = %(id)s AND disabled_at IS NULL FOR SHARE",
        id=account_id,
    )
    return row is not None


async def record_use(cur: Cursor, passkey_id: UUID, sign_count: int) -> bool:
    """Set when a passkey was last used. Return False if it is gone, or if the count of its device has not risen.

    A device that does not count states 0 each time. From others, a count that has not risen is a sign of a copy
    (WebAuthn, section 6.1.1).
    """
    updated = await execute(
        cur,
        """
        UPDATE access.passkey SET sign_count = %(sign_count)s, last_used_at = tocsin.now()
        WHERE id = %(id)s AND (sign_count < %(sign_count)s OR (sign_count = 0 AND %(sign_count)s = 0))
        """,
        id=passkey_id,
        sign_count=sign_count,
    )
    return updated > 0


async def delete_passkey(cur: Cursor, account_id: UUID, passkey_id: UUID) -> None:
    """Delete a passkey of an account."""
    await execute(
        cur,
        "DELETE FROM access.passkey WHERE id = %(id)s AND account_id = %(account_id)s",
        id=passkey_id,
        account_id=account_id,
    )


async def delete_passkeys(cur: Cursor, account_id: UUID) -> int:
    """Delete the passkeys of an account. Return how many there were."""
    return await execute(cur, "DELETE FROM access.passkey WHERE account_id = %(account_id)s", account_id=account_id)
