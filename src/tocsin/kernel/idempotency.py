"""`Idempotency-Key` on POST and PATCH: a repeat within a day has no second effect and gets the first's answer.

The answer is rebuilt from the rows, not stored: the table keeps which resource answers for a key, and a hash of what
was asked.
"""

import hashlib
from typing import Final
from uuid import UUID

from aiohttp import web

from tocsin.kernel.db import DB, Cursor, execute, fetch_one, transaction
from tocsin.kernel.errors import InvalidRequestError, TransactionConflictError
from tocsin.kernel.workers import Context, worker

KEEP_HOURS: Final = 24
SWEEP_SECONDS: Final = 600.0


def body_hash(method: str, path: str, body: bytes) -> bytes:
    """Return what stands for a request: the same key with another method, path or body is a mistake."""
    return hashlib.sha256(b"\0".join((method.encode(), path.encode(), body))).digest()


async def claim(cur: Cursor, *, key: str, digest: bytes, resource_id: UUID) -> UUID | None:
    """Claim *key* for *resource_id* in the caller's transaction; None when it is ours, else the first's resource.

    A simultaneous request with the same key waits here until the first has committed or rolled back. Raise
    InvalidRequestError when the first asked something else.
    """
    mine = await execute(
        cur,
        """
        INSERT INTO idempotency AS i (key, body_hash, resource_id) VALUES (%(key)s, %(digest)s, %(resource_id)s)
        ON CONFLICT (key) DO UPDATE
            SET body_hash = EXCLUDED.body_hash, resource_id = EXCLUDED.resource_id, created_at = EXCLUDED.created_at
            WHERE i.created_at < now() - %(hours)s * interval '1 hour'
        """,
        key=key,
        digest=digest,
        resource_id=resource_id,
        hours=KEEP_HOURS,
    )
    if mine:
        return None
    first = await fetch_one(cur, "SELECT body_hash, resource_id FROM idempotency WHERE key = %(key)s", key=key)
    if first is None:
        msg = "The key was forgotten at this very moment; try again."
        raise TransactionConflictError(msg)
    if bytes(first["body_hash"]) != digest:
        detail = "This key was used for another request within the last 24 hours; take a new one."
        raise InvalidRequestError([{"pointer": "Idempotency-Key", "detail": detail}])
    resource: UUID = first["resource_id"]
    return resource


async def _forget_old(app: web.Application) -> bool:
    async with transaction(app[DB]) as cur:
        deleted = await execute(
            cur,
            """
            DELETE FROM idempotency WHERE key IN (
                SELECT key FROM idempotency WHERE created_at < now() - %(hours)s * interval '1 hour' LIMIT 1000)
            """,
            hours=KEEP_HOURS,
        )
    return deleted > 0


def forget_old_keys() -> Context:
    """Return the cleanup context that deletes keys older than a day."""
    return worker("idempotency_keys", _forget_old, interval=SWEEP_SECONDS)
