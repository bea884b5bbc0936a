"""The audit of closed mode: who changed what, recorded in the transaction of the change.

A use case calls `record`, whatever the mode: without a caller whose changes are recorded, it does nothing. The entry
waits in `audit_queue` of the service's schema until the web service has stored it (`kernel.audit_queue`).
"""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from tocsin.kernel.audit_changes import Fields, changed_fields
from tocsin.kernel.audit_entry import Entry, Subject, what, who
from tocsin.kernel.audit_refusals import REFUSALS, Refusals
from tocsin.kernel.auth import PRINCIPAL
from tocsin.kernel.client_address import client_address
from tocsin.kernel.db import Cursor, Json, defer
from tocsin.kernel.health import SERVICE
from tocsin.kernel.ids import new_id
from tocsin.kernel.prepared import PreparedStatement
from tocsin.kernel.principal import Principal, PrincipalKind
from tocsin.kernel.request_id import REQUEST_ID

UNRECORDED: Final = frozenset({PrincipalKind.OPEN, PrincipalKind.NOBODY, PrincipalKind.SERVICE})
"""What services do on their own is in the timeline."""
_INSERT: Final = PreparedStatement(
    "insert_audit_entry", "INSERT INTO audit_queue (id, entry) VALUES (%(id)s, %(entry)s)", id="uuid", entry="jsonb"
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes the present request, and from where."""

    principal: Principal
    address: str
    service: str
    """The service that handles the request."""
    refusals: Refusals | None = None
    """Where refused log-ins are counted."""


CALLER: Final[ContextVar[Caller | None]] = ContextVar("CALLER", default=None)
"""None in open mode and in background work: nothing is recorded."""


@web.middleware
async def caller_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let `record` know who makes the request; closed mode only."""
    caller = Caller(request[PRINCIPAL], client_address(request), request.app[SERVICE], request.app[REFUSALS])
    token = CALLER.set(caller)
    try:
        return await handler(request)
    finally:
        CALLER.reset(token)  # one task serves every request of a connection


async def record(
    cur: Cursor, action: str, subject: Subject, *, before: Fields | None = None, after: Fields | None = None
) -> None:
    """Record a change of the present request in the caller's transaction. This is deferred.

    The fields that differ between *before* and *after* are kept; without *before*, the object is new.
    """
    entry = new_entry(action, subject, before=before, after=after)
    if entry is not None:
        await defer(cur, _INSERT, id=entry["id"], entry=Json(entry))


def new_entry(
    action: str,
    subject: Subject,
    *,
    before: Fields | None = None,
    after: Fields | None = None,
    by: Principal | None = None,
) -> Entry | None:
    """Return the entry of a change of the present request, by its principal unless *by* is given.

    None if nothing is recorded: in open mode, and for what a service does on its own.
    """
    caller = CALLER.get()
    if caller is None or (by is None and caller.principal.kind in UNRECORDED):
        return None
    old, new = changed_fields(before or {}, after or {})
    return {
        "id": str(new_id()),
        "service": caller.service,
        "action": str(action),
        **who(by or caller.principal, caller.address),
        "object": what(subject),
        "before": old or None,
        "after": new or None,
        "request_id": REQUEST_ID.get(),
    }
