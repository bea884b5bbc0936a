"""`Idempotency-Key` on POST and PATCH: a retry within a day has no second effect and gets the first response.

The response is rebuilt from the rows, not stored: the table keeps the id of the resource and a hash of the request as
it was sent. A hash of the parsed model would change with every defaulted field that a release adds, so that a retry
that crosses a deploy would be refused.
"""

from typing import Final
from uuid import UUID

from aiohttp import web

from tocsin.kernel.db import DB, Cursor, Database, execute, fetch_one, transaction
from tocsin.kernel.errors import InvalidRequestError, TransactionConflictError
from tocsin.kernel.idempotent_request import IdempotentRequest
from tocsin.kernel.workers import Context, worker

KEEP_HOURS: Final = 24
SWEEP_SECONDS: Final = 600.0


async def replay(cur: Cursor, request: IdempotentRequest | None, resource_id: UUID) -> UUID | None:
    """Return the id of the resource that an earlier attempt of *request* created; None for the first attempt.

    The first attempt records its key with *resource_id* in the caller's transaction; a concurrent one waits here until
    the first has committed or rolled back. A request without a key is always a first attempt. Raise InvalidRequestError
    if the key was used for another request.
    """
    if request is None:
        return None
    digest = request.digest()
    inserted = await execute(
        cur,
        """
        INSERT INTO idempotency AS i (scope, key, body_hash, resource_id)
        VALUES (%(scope)s, %(key)s, %(digest)s, %(resource_id)s)
        ON CONFLICT (scope, key) DO UPDATE
            SET body_hash = EXCLUDED.body_hash, resource_id = EXCLUDED.resource_id, created_at = EXCLUDED.created_at
            WHERE i.created_at < tocsin.now() - %(hours)s * interval '1 hour'
        """,
        scope=request.scope,
        key=request.key,
        digest=digest,
        resource_id=resource_id,
        hours=KEEP_HOURS,
    )
    if inserted:
        return None
    first = await fetch_one(
        cur,
        "SELECT body_hash, resource_id FROM idempotency WHERE scope = %(scope)s AND key = %(key)s",
        scope=request.scope,
        key=request.key,
    )
    if first is None:
        msg = "The key expired during this request; try again."
        raise TransactionConflictError(msg)
    if bytes(first["body_hash"]) != digest:
        detail = "This key was used for another request within the last 24 hours; use a new one."
        raise InvalidRequestError([{"pointer": "Idempotency-Key", "detail": detail}])
    resource: UUID = first["resource_id"]
    return resource


async def delete_expired(db: Database) -> bool:
    """Delete a batch of the keys older than a day. Return whether there may be more."""
    async with transaction(db) as cur:
        deleted = await execute(
            cur,
            """
            DELETE FROM idempotency WHERE ctid = ANY (ARRAY(
                SELECT ctid FROM idempotency
                WHERE created_at < tocsin.now() - %(hours)s * interval '1 hour' LIMIT 1000
                FOR UPDATE SKIP LOCKED))
            """,
            hours=KEEP_HOURS,
        )
    return deleted > 0


async def _delete_expired(app: web.Application) -> bool:
    return await delete_expired(app[DB])


def delete_expired_keys() -> Context:
    """Return the cleanup context that deletes keys older than a day."""
    return worker("idempotency_keys", _delete_expired, interval=SWEEP_SECONDS)
