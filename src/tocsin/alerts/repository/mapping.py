"""Mapping between domain objects and rows."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic_core import to_json

from tocsin.alerts.domain import StoredAlert
from tocsin.contracts.alerts import AlertStatus
from tocsin.contracts.model import Severity
from tocsin.kernel.db import Row

_UNCHANGED: Final = (  # columns whose values need no conversion
    "id",
    "version",
    "incident_id",
    "service",
    "message",
    "labels",
    "source",
    "dedup_key",
    "occurrences",
    "remark",
    "last_seen_at",
)


def document(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return *rows* as one JSON parameter, which is much cheaper than an array per column."""
    return to_json(rows).decode()


def stored_alert(row: Row) -> StoredAlert:
    """Return the alert of a row of `alert` joined with `version` and `incident_id` of `correlation`."""
    return StoredAlert(
        **{name: row[name] for name in _UNCHANGED},
        severity=Severity(row["severity"]),
        status=AlertStatus.FIRING if row["resolved_at"] is None else AlertStatus.RESOLVED,
        fired_at=row["fired_at"] or row["created_at"],
    )
