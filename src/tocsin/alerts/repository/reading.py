"""Statements that read for people. Each starts from one index, whatever the history's size."""

from typing import Annotated, Final
from uuid import UUID

from pydantic import StringConstraints

from tocsin.contracts.alerts import AlertStatus
from tocsin.contracts.model import Instant, Severity, Text
from tocsin.kernel.db import Cursor, Row, fetch_all, fetch_one, required
from tocsin.kernel.paging import ListQuery


class AlertQuery(ListQuery):
    """Filters of the list of alerts; those given must all hold."""

    service: Text | None = None
    severity: Severity | None = None
    status: AlertStatus | None = None
    incident_id: UUID | None = None
    fingerprint: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")] | None = None
    since: Instant | None = None
    """Stored at or after."""
    until: Instant | None = None
    """Stored before."""
    q: Annotated[Text, StringConstraints(strip_whitespace=True, min_length=1, max_length=256)] | None = None
    """Words of the message; "a phrase", or, -not."""


_LIST: Final = """
    SELECT a.*, c.incident_id, c.action
    FROM alerts.alert AS a JOIN alerts.correlation AS c ON c.alert_id = a.id
    WHERE (%(service)s IS NULL OR a.service = %(service)s)
        AND (%(severity)s IS NULL OR a.severity = %(severity)s)
        AND (%(status)s IS NULL OR (a.resolved_at IS NULL) = (%(status)s = 'firing'))
        AND (%(fingerprint)s IS NULL OR a.fingerprint = %(fingerprint)s)
        AND (%(q)s IS NULL OR to_tsvector('simple', a.message) @@ websearch_to_tsquery('simple', %(q)s))
        AND (%(since)s IS NULL OR a.created_at >= %(since)s)
        AND (%(until)s IS NULL OR a.created_at < %(until)s)
        AND (%(after_at)s IS NULL OR (a.created_at, a.id) < (%(after_at)s, %(after_id)s))
    ORDER BY a.created_at DESC, a.id DESC LIMIT %(fetch)s
"""
# The same, but in the order of the index over an incident's alerts, of which there may be a hundred thousand.
_LIST_OF_INCIDENT: Final = """
    SELECT a.*, c.incident_id, c.action
    FROM alerts.correlation AS c JOIN alerts.alert AS a ON a.id = c.alert_id
    WHERE c.incident_id = %(incident_id)s
        AND (%(service)s IS NULL OR a.service = %(service)s)
        AND (%(severity)s IS NULL OR a.severity = %(severity)s)
        AND (%(status)s IS NULL OR (a.resolved_at IS NULL) = (%(status)s = 'firing'))
        AND (%(fingerprint)s IS NULL OR a.fingerprint = %(fingerprint)s)
        AND (%(q)s IS NULL OR to_tsvector('simple', a.message) @@ websearch_to_tsquery('simple', %(q)s))
        AND (%(since)s IS NULL OR c.created_at >= %(since)s)
        AND (%(until)s IS NULL OR c.created_at < %(until)s)
        AND (%(after_at)s IS NULL OR (c.created_at, c.alert_id) < (%(after_at)s, %(after_id)s))
    ORDER BY c.created_at DESC, c.alert_id DESC LIMIT %(fetch)s
"""


async def list_alerts(cur: Cursor, query: AlertQuery) -> list[Row]:
    """Return alerts newest first, one more than asked for where there are more."""
    filters = query.model_dump(exclude={"limit", "cursor"})
    statement = _LIST if query.incident_id is None else _LIST_OF_INCIDENT
    return await fetch_all(cur, statement, **filters, **query.after())


async def get_alert(cur: Cursor, alert_id: UUID) -> tuple[Row, Row]:
    """Return an alert and the request that brought its newest report. Raise NotFoundError."""
    alert = await fetch_one(
        cur,
        """
        SELECT a.*, c.incident_id, c.action
        FROM alerts.alert AS a JOIN alerts.correlation AS c ON c.alert_id = a.id
        WHERE a.id = %(alert_id)s
        """,
        alert_id=alert_id,
    )
    found = required(alert, f"There is no alert {alert_id}.")
    request = await fetch_one(
        cur,
        "SELECT id, receiver, content_type, body, created_at FROM alerts.request WHERE id = %(request_id)s",
        request_id=found["request_id"],
    )
    return found, required(request)
