"""What the page of accounts shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from tocsin.contracts.accounts import Account, AccountKind, Role
from tocsin.web.ui.roles import ROLE_LABELS

ROLES: Final = (
    ("Admin", "Everything: accounts, schedules, settings. The last admin cannot be disabled or get another role."),
    ("Responder", "Reads everything, sends alerts, and handles the incidents of every team."),
    ("Viewer", "Reads; changes nothing."),
    ("Sender", "Sends alerts and reads nothing; for programs only."),
)


@dataclass(frozen=True, slots=True)
class AccountRow:
    """One account."""

    account: Account
    roles: Sequence[tuple[str, str]]
    """The roles that it can have, with their labels."""
    is_own: bool


@dataclass(frozen=True, slots=True)
class AccountsView:
    """The page of accounts."""

    heading: str
    about: str
    rows: Sequence[AccountRow]
    roles: Sequence[tuple[str, str]]
    new_roles: Sequence[tuple[str, str]]


def accounts_view(accounts: Sequence[Account], own_id: UUID | None) -> AccountsView:
    """Return what the page shows: the accounts by name, those that are disabled last."""
    rows = [
        AccountRow(each, _roles(each.kind), each.id == own_id)
        for each in sorted(accounts, key=lambda each: (each.disabled_at is not None, each.name.casefold()))
    ]
    people = sum(row.account.kind is AccountKind.PERSON and row.account.state == "active" for row in rows)
    programs = sum(row.account.kind is AccountKind.SERVICE and row.account.state == "active" for row in rows)
    invited = sum(row.account.state == "invited" for row in rows)
    waiting = f" {_count(invited, 'person has', 'people have')} not chosen a password yet." if invited else ""
    return AccountsView(
        heading=f"{_count(people, 'person', 'people')} can log in",
        about=(
            f"{_count(programs, 'program has', 'programs have')} an account, too.{waiting}" if programs else waiting
        ),
        rows=rows,
        roles=ROLES,
        new_roles=[(role.value, label) for role, label in ROLE_LABELS.items()],
    )


def _roles(kind: AccountKind) -> Sequence[tuple[str, str]]:
    return [
        (role.value, label)
        for role, label in ROLE_LABELS.items()
        if kind is AccountKind.SERVICE or role is not Role.SENDER
    ]


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
