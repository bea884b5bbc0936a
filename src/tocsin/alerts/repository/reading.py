"""Statements that read for people. Each starts from one index, whatever the history's size."""

from typing import Annotated, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, StringConstraints

from tocsin.contracts.alerts import AlertAction, AlertStatus
from tocsin.contracts.model import Instant, Severity, Text
from tocsin.kernel.db import Cursor, Row, fetch_all, fetch_one, required
from tocsin.kernel.pagination import ListQuery

RARE: Final = frozenset({AlertAction.NEW_INCIDENT, AlertAction.IGNORED, AlertAction.PENDING})
"""What becomes of few alerts of a storm; nearly all are attached."""
COUNTED: Final = 10_000
"""How many alerts a summary counts, the newest of its window: what it costs must not grow with a storm."""


class AlertQuery(ListQuery):
    """Filters of the list of alerts; those given must all hold."""

    service: Text | None = None
    severity: Severity | None = None
    status: AlertStatus | None = None
    incident_id: UUID | None = None
    action: AlertAction | None = None
    """What became of it; `repeated` and `resolved` are of single reports, and no alert's."""
    fingerprint: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")] | None = None
    since: Instant | None = None
    """Stored at or after."""
    until: Instant | None = None
    """Stored before."""
    q: Annotated[Text, StringConstraints(strip_whitespace=True, min_length=1, max_length=256)] | None = None
    """Words of the message; "a phrase", or, -not."""


class SummaryQuery(BaseModel):
    """The window of a summary."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    since: Instant | None = None
    """Stored at or after; by default the last 24 hours."""
    until: Instant | None = None
    """Stored before."""


_LIST: Final = """
    SELECT a.*, c.incident_id, c.action
    FROM alerts.alert AS a JOIN alerts.correlation AS c ON c.alert_id = a.id
    WHERE (%(service)s IS NULL OR a.service = %(service)s)
        AND (%(severity)s IS NULL OR a.severity = %(severity)s)
        AND (%(status)s IS NULL OR (a.resolved_at IS NULL) = (%(status)s = 'firing'))
        AND (%(action)s IS NULL OR c.action = %(action)s)
        AND (%(fingerprint)s IS NULL OR a.fingerprint = %(fingerprint)s)
        AND (%(q)s IS NULL OR to_tsvector('simple', a.message) @@ websearch_to_tsquery('simple', %(q)s))
        AND (%(since)s IS NULL OR a.created_at >= %(since)s)
        AND (%(until)s IS NULL OR a.created_at < %(until)s)
        AND (%(after_at)s IS NULL OR (a.created_at, a.id) < (%(after_at)s, %(after_id)s))
    ORDER BY a.created_at DESC, a.id DESC LIMIT %(fetch)s
"""
# The same, but in the order of the index over an incident's alerts, of which there may be a hundred thousand, or over
# those that few alerts share their fate with. What is pending has not been told: there is an index of that.
_LIST_OF_FEW: Final = """
    SELECT a.*, c.incident_id, c.action
    FROM alerts.correlation AS c JOIN alerts.alert AS a ON a.id = c.alert_id
    WHERE (%(incident_id)s IS NULL OR c.incident_id = %(incident_id)s)
        AND (%(action)s IS DISTINCT FROM 'pending' OR c.told_version < c.version)
        AND (%(service)s IS NULL OR a.service = %(service)s)
        AND (%(severity)s IS NULL OR a.severity = %(severity)s)
        AND (%(status)s IS NULL OR (a.resolved_at IS NULL) = (%(status)s = 'firing'))
        AND (%(action)s IS NULL OR c.action = %(action)s)
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
    statement = _LIST if query.incident_id is None and query.action not in RARE else _LIST_OF_FEW
    return await fetch_all(cur, statement, **filters, **query.after())


async def summarise(cur: Cursor, query: SummaryQuery) -> list[Row]:
    """Return what became of the newest alerts of a window, by action, and of all of them where `action` is null."""
    return await fetch_all(
        cur,
        """
        WITH newest AS MATERIALIZED (
            SELECT id, created_at, occurrences FROM alerts.alert
            WHERE created_at >= COALESCE(%(since)s::timestamptz, now() - interval '24 hours')
                AND (%(until)s::timestamptz IS NULL OR created_at < %(until)s)
            ORDER BY created_at DESC, id DESC LIMIT %(counted)s
        )
        SELECT c.action, count(*) AS alerts, count(DISTINCT c.incident_id) AS incidents,
            COALESCE(sum(newest.occurrences), 0) AS reports, min(newest.created_at) AS oldest
        FROM newest CROSS JOIN LATERAL (  -- one by one: the table may be a thousand times as long
            SELECT action, incident_id FROM alerts.correlation WHERE alert_id = newest.id LIMIT 1
        ) AS c
        GROUP BY GROUPING SETS ((c.action), ())
        """,
        since=query.since,
        until=query.until,
        counted=COUNTED,
    )


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
