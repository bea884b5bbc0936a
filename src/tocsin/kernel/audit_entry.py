"""An entry of the audit, as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from tocsin.kernel.principal import Principal
from tocsin.kernel.storable_text import storable

MAX_NAME: Final = 256
Entry: TypeAlias = dict[str, Any]
"""As `contracts.audit.AuditEntry`; without a time, it has that of the transaction that inserts it."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What something is done to."""

    kind: str
    id: object
    name: str


def who(principal: Principal, address: str) -> Entry:
    """Return the fields of an entry about a principal and its address."""
    return {
        "principal": {
            "kind": str(principal.kind),
            "name": None if principal.name is None else storable(principal.name, MAX_NAME),
            "account_id": _text(principal.id),
        },
        "credential_id": _text(principal.credential_id),
        "address": storable(address),
    }


def what(subject: Subject) -> Mapping[str, str]:
    """Return the fields of an entry's object."""
    return {
        "kind": subject.kind,
        "id": storable(str(subject.id), MAX_NAME),
        "name": storable(subject.name, MAX_NAME),
    }


def _text(value: object) -> str | None:
    return None if value is None else str(value)
