"""Requests that carry an `Idempotency-Key`."""

from uuid import UUID

from pydantic import BaseModel

from tocsin.kernel.db import Cursor
from tocsin.kernel.idempotency import body_hash, claim


async def answered_before(
    cur: Cursor, *, key: str | None, path: str, asked: BaseModel, resource_id: UUID
) -> UUID | None:
    """Return the resource that answers for an earlier POST of *asked* to *path* with *key*; None the first time.

    Raise InvalidRequestError where the key was used for something else.
    """
    if key is None:
        return None
    digest = body_hash("POST", path, asked.model_dump_json().encode())
    return await claim(cur, key=key, digest=digest, resource_id=resource_id)
