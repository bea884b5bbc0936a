"""The audit."""

from collections.abc import Sequence
from typing import Any, Final

from tocsin.contracts.audit import AuditEntry
from tocsin.kernel.audit_entry import Entry
from tocsin.kernel.db import Cursor, Json, Row, defer, execute, fetch_all, fetch_one, required
from tocsin.kernel.pagination import page_of
from tocsin.web.access.queries import AuditQuery

INSERT: Final = """
    INSERT INTO access.audit (id, created_at, service, action, principal_kind, principal_name, account_id,
                              credential_id, address, object_kind, object_id, object_name, before, after, count,
                              request_id)
    SELECT (entry ->> 'id')::uuid, COALESCE((entry ->> 'at')::timestamptz, tocsin.now()), entry ->> 'service',
           entry ->> 'action', entry #>> '{principal,kind}', entry #>> '{principal,name}',
           (entry #>> '{principal,account_id}')::uuid, (entry ->> 'credential_id')::uuid, entry ->> 'address',
           entry #>> '{object,kind}', entry #>> '{object,id}', entry #>> '{object,name}',
           NULLIF(entry -> 'before', 'null'), NULLIF(entry -> 'after', 'null'),
           COALESCE((entry ->> 'count')::integer, 1), entry ->> 'request_id'
    FROM jsonb_array_elements(%(entries)s) AS entry
    ON CONFLICT (id) DO NOTHING
"""


async def defer_entry(cur: Cursor, entry: Entry) -> None:
    """Insert an entry with the transaction's time. This is deferred."""
    await defer(cur, INSERT, entries=Json([entry]))


async def insert_entries(cur: Cursor, entries: Sequence[Entry]) -> int:
    """Insert those entries that are not stored yet. Return how many."""
    return await execute(cur, INSERT, entries=Json(list(entries)))


async def list_entries(cur: Cursor, query: AuditQuery) -> tuple[list[AuditEntry], str | None]:
    """Return a page of entries, newest first, and the cursor of the next page."""
    rows = await fetch_all(
        cur,
        """
        SELECT id, created_at, service, action, principal_kind, principal_name, account_id, credential_id, address,
               object_kind, object_id, object_name, before, after, count, request_id
        FROM access.audit
        WHERE (%(since)s::timestamptz IS NULL OR created_at >= %(since)s)
          AND (%(until)s::timestamptz IS NULL OR created_at < %(until)s)
          AND (%(account_id)s::uuid IS NULL OR account_id = %(account_id)s)
          AND (%(action)s::text IS NULL OR action = %(action)s)
          AND (%(kind)s::text IS NULL OR object_kind = %(kind)s)
          AND (%(object)s::text IS NULL OR object_id = %(object)s OR lower(object_name) LIKE %(beginning)s)
          AND (%(after_at)s::timestamptz IS NULL OR (created_at, id) < (%(after_at)s, %(after_id)s::uuid))
        ORDER BY created_at DESC, id DESC
        LIMIT %(fetch)s
        """,
        **query.filters(),
        **query.after(),
    )
    return page_of(rows, query.limit, _entry)


async def delete_expired(cur: Cursor, *, days: int) -> int:
    """Delete a batch of the entries that are older than *days*. Return how many."""
    row = required(await fetch_one(cur, "SELECT access.delete_expired_audit(%(days)s) AS deleted", days=days))
    return int(row["deleted"])


def _entry(row: Row) -> AuditEntry:
    fields: dict[str, Any] = {
        **row,
        "at": row["created_at"],
        "principal": {
            "kind": row["principal_kind"],
            "name": row["principal_name"],
            "account_id": row["account_id"],
        },
        "object": {"kind": row["object_kind"], "id": row["object_id"], "name": row["object_name"]},
    }
    return AuditEntry.model_validate(fields)
