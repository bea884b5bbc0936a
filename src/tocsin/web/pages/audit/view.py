"""What the page of the audit shows, and what its file has."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tocsin.contracts.accounts import Account
from tocsin.contracts.audit import AuditAction, AuditEntry
from tocsin.contracts.model import Page
from tocsin.web.pages.audit.filter import AuditFilter
from tocsin.web.ui.empty_state import EmptyState
from tocsin.web.ui.pagination import PageLinks, page_links
from tocsin.web.ui.tables import Value

LABELS: Final[Mapping[str, str]] = {
    AuditAction.INCIDENT_OPEN: "Opened",
    AuditAction.INCIDENT_ACKNOWLEDGE: "Acknowledged",
    AuditAction.INCIDENT_START: "Started work on",
    AuditAction.INCIDENT_RESOLVE: "Resolved",
    AuditAction.INCIDENT_CHANGE: "Changed",
    AuditAction.INCIDENT_NOTE: "Added a note to",
    AuditAction.INCIDENT_ESCALATE: "Escalated",
    AuditAction.MESSAGE_SEND: "Sent",
    AuditAction.MESSAGE_REDELIVER: "Sent again",
    AuditAction.SCHEDULE_CREATE: "Created the schedule of",
    AuditAction.SCHEDULE_CHANGE: "Changed the schedule of",
    AuditAction.PERSON_CREATE: "Added",
    AuditAction.PERSON_CHANGE: "Changed",
    AuditAction.PERSON_DELETE: "Deleted",
    AuditAction.MEMBERSHIP_CHANGE: "Changed who belongs to",
    AuditAction.MEMBERSHIP_DELETE: "Removed somebody from",
    AuditAction.ACCOUNT_SETUP: "Set up Tocsin as",
    AuditAction.ACCOUNT_CREATE: "Created the account of",
    AuditAction.ACCOUNT_CHANGE: "Changed the account of",
    AuditAction.ACCOUNT_DISABLE: "Disabled the account of",
    AuditAction.ACCOUNT_ENABLE: "Enabled the account of",
    AuditAction.LINK_CREATE: "Created a link to choose a password for",
    AuditAction.PASSWORD_CHANGE: "Changed the password of",
    AuditAction.PASSKEY_ADD: "Added the passkey",
    AuditAction.PASSKEY_REMOVE: "Removed the passkey",
    AuditAction.PROVIDER_LINK: "Linked an OpenID provider to the account of",
    AuditAction.PROVIDER_UNLINK: "Unlinked an OpenID provider from the account of",
    AuditAction.TOKEN_CREATE: "Created the token",
    AuditAction.TOKEN_REVOKE: "Revoked the token",
    AuditAction.SESSION_END: "Ended a",
    AuditAction.LOG_IN: "Logged in as",
    AuditAction.LOG_IN_REFUSED: "Log-in as",
    AuditAction.LOG_OUT: "Logged out of the",
    AuditAction.REQUEST_REFUSED: "Request",
}
REFUSED: Final = frozenset({AuditAction.LOG_IN_REFUSED, AuditAction.REQUEST_REFUSED})
PATHS: Final = {"incident": "/incidents/{}", "schedule": "/oncall/{}", "account": "/accounts"}
"""The pages of objects."""
KINDS: Final = ("incident", "message", "schedule", "person", "team", "account", "token", "passkey", "session", "route")
COLUMNS: Final = (
    "at", "who", "kind_of_principal", "account_id", "session_or_token", "address", "action", "kind", "object_id",
    "object", "before", "after", "count", "service", "request_id",
)  # fmt: skip
"""Of the file."""


@dataclass(frozen=True, slots=True)
class ChangedField:
    """A field before and after."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One entry."""

    entry: AuditEntry
    who: str
    known: bool
    """Whether somebody is known to have done it."""
    label: str
    link: str
    """The page of the object; empty without one."""
    refused: bool
    changes: Sequence[ChangedField]


@dataclass(frozen=True, slots=True)
class AuditData:
    """What was loaded."""

    filter: AuditFilter
    page: Page[AuditEntry]
    accounts: Sequence[Account]
    days: int


@dataclass(frozen=True, slots=True)
class AuditView:
    """The page."""

    filter: AuditFilter
    about: str
    rows: Sequence[AuditRow]
    people: Sequence[tuple[str, str]]
    actions: Sequence[tuple[str, str]]
    kinds: Sequence[tuple[str, str]]
    empty: EmptyState
    links: PageLinks


def audit_view(data: AuditData) -> AuditView:
    """Return the page's view of *data*."""
    names = {str(each.id): each.name for each in data.accounts}
    kept = f"Kept for {data.days} days." if data.days else "Kept for ever."
    return AuditView(
        filter=data.filter,
        about=f"Every change has an entry, with what was there before. Nobody can edit one. {kept}",
        rows=[_row(entry) for entry in data.page.items],
        people=_options("Anybody", sorted(names, key=lambda key: names[key].casefold()), names, data.filter.who),
        actions=_options("Any action", [action.value for action in AuditAction], {}, data.filter.action),
        kinds=_options("Any object", KINDS, {}, data.filter.kind),
        empty=_empty(data.filter),
        links=page_links(data.filter, data.page),
    )


def _options(every: str, values: Sequence[str], labels: Mapping[str, str], chosen: object) -> Sequence[tuple[str, str]]:
    """Return the values and labels of a select; what is chosen is among them, even if it is gone."""
    own = str(chosen or "")
    more = [own] if own and own not in values else []
    return [("", every), *((value, labels.get(value, value)) for value in (*values, *more))]


def _row(entry: AuditEntry) -> AuditRow:
    return AuditRow(
        entry=entry,
        who=_who(entry),
        known=entry.principal.name is not None,
        label=LABELS.get(entry.action, entry.action),
        link=PATHS.get(entry.object.kind, "").format(entry.object.id) if entry.object.id else "",
        refused=entry.action in REFUSED,
        changes=_changes(entry.before or {}, entry.after or {}),
    )


def _who(entry: AuditEntry) -> str:
    return entry.principal.name or "nobody known"


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Sequence[ChangedField]:
    return [ChangedField(name, _text(before.get(name)), _text(after.get(name))) for name in {**before, **after}]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def _empty(chosen: AuditFilter) -> EmptyState:
    if chosen == AuditFilter():
        return EmptyState("Nothing has been changed yet.")
    return EmptyState("No entry matches this filter.", [("Show all entries", AuditFilter.path)])


def csv_row(entry: AuditEntry) -> Sequence[Value]:
    """Return the values of an entry, in the order of COLUMNS."""
    return (
        entry.at.isoformat(),
        entry.principal.name,
        entry.principal.kind,
        str(entry.principal.account_id or ""),
        str(entry.credential_id or ""),
        entry.address,
        entry.action,
        entry.object.kind,
        entry.object.id,
        entry.object.name,
        _document(entry.before),
        _document(entry.after),
        entry.count,
        entry.service,
        entry.request_id,
    )


def _document(value: Mapping[str, Any] | None) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False)
