"""The audit: record the changes to accounts, store what the other services report, and read it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from tocsin.contracts.accounts import Account
from tocsin.contracts.audit import AuditAction, AuditEntry
from tocsin.contracts.model import Page
from tocsin.kernel.audit import CALLER, new_entry
from tocsin.kernel.audit_changes import Fields
from tocsin.kernel.audit_entry import Entry, Subject
from tocsin.kernel.db import Cursor, autocommit
from tocsin.kernel.pagination import MAX_LIMIT
from tocsin.kernel.principal import NOBODY, Principal, PrincipalKind
from tocsin.web.access.queries import AuditQuery
from tocsin.web.access.repository import audit
from tocsin.web.access.service import Deps

UNKNOWN = Subject("account", "", "unknown account")
"""Instead of the address that was entered: people enter their password in the wrong field."""


async def record(
    cur: Cursor,
    action: AuditAction,
    subject: Subject,
    *,
    before: Fields | None = None,
    after: Fields | None = None,
    by: Principal | None = None,
) -> None:
    """Record a change of the present request in the caller's transaction, as `kernel.audit.record` does.

    *by* is who has just proved who they are, in a request that anybody may make.
    """
    entry = new_entry(action, subject, before=before, after=after, by=by)
    if entry is not None:
        await audit.defer_entry(cur, entry)


def refuse_log_in(account: Subject | None, reason: str) -> None:
    """Count a refused log-in; *account* is None if the account is unknown. It takes the same time for every account."""
    caller = CALLER.get()
    if caller is not None and caller.refusals is not None:
        caller.refusals.add(AuditAction.LOG_IN_REFUSED, NOBODY, caller.address, account or UNKNOWN, {"reason": reason})


def about(account: Account) -> Subject:
    """Return an account as the object of an entry."""
    return Subject("account", account.id, account.name)


def principal_of(account: Account, *, credential_id: Any = None) -> Principal:
    """Return the principal of an account's person, who has just proved who they are."""
    return Principal(
        PrincipalKind.PERSON, account.name, frozenset(), account.id, account.person_id, credential_id=credential_id
    )


def fields_of(account: Account) -> Mapping[str, Any]:
    """Return what the audit compares of an account."""
    fields = account.model_dump(mode="json", include={"kind", "name", "email", "role", "person_id"})
    return {**fields, "disabled": account.disabled_at is not None}


async def store(deps: Deps, entries: Sequence[Entry]) -> int:
    """Store entries, and return how many are new."""
    async with autocommit(deps.db) as cur:
        return await audit.insert_entries(cur, entries)


async def list_entries(deps: Deps, query: AuditQuery) -> Page[AuditEntry]:
    """Return a page of entries, newest first."""
    async with autocommit(deps.db) as cur:
        found, cursor = await audit.list_entries(cur, query)
    return Page[AuditEntry](items=found, next_cursor=cursor)


async def all_entries(deps: Deps, query: AuditQuery, *, limit: int) -> AsyncIterator[Sequence[AuditEntry]]:
    """Yield the pages of up to about *limit* entries, newest first; no connection is held in between."""
    query = query.model_copy(update={"limit": MAX_LIMIT})
    for _ in range(0, limit, MAX_LIMIT):
        page = await list_entries(deps, query)
        yield page.items
        if page.next_cursor is None:
            return
        query = query.model_copy(update={"cursor": page.next_cursor})
