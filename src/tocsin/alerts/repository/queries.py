"""Statements that read alerts. Each uses one index, so that its cost does not grow with the number of stored alerts."""

from typing import Final
from uuid import UUID

from tocsin.alerts.queries import AlertQuery, SummaryQuery
from tocsin.contracts.alerts import AlertAction
from tocsin.kernel.db import Cursor, Row, fetch_all, fetch_one

RARE_ACTIONS: Final = frozenset({AlertAction.NEW_INCIDENT, AlertAction.IGNORED, AlertAction.PENDING})
"""Actions that few alerts have: nearly all alerts, above all in an alert storm, join an existing incident."""
SUMMARY_LIMIT: Final = 10_000
"""A summary counts at most this many alerts, the newest of its window, so that its cost is bounded."""

SEARCHED_NEWEST: Final = 5_000
"""Alerts among which words are searched for first. It takes 20 ms, and with one match in a hundred fills a page."""

_LIST: Final = """
    SELECT a.*, c.incident_id, c.action
    FROM alerts.alert AS a JOIN alerts.correlation AS c ON c.alert_id = a.id
    WHERE (%(service)s IS NULL OR a.service = %(service)s)
        AND (%(severity)s IS NULL OR a.severity = %(severity)s)
        AND (%(integration)s IS NULL OR a.integration = %(integration)s)
        AND (%(status)s IS NULL OR (a.resolved_at IS NULL) = (%(status)s = 'firing'))
        AND (%(action)s IS NULL OR c.action = %(action)s)
        AND (%(fingerprint)s IS NULL OR a.fingerprint = %(fingerprint)s)
        AND (%(since)s IS NULL OR a.created_at >= %(since)s)
        AND (%(until)s IS NULL OR a.created_at < %(until)s)
        AND (%(after_at)s IS NULL OR (a.created_at, a.id) < (%(after_at)s, %(after_id)s))
    ORDER BY a.created_at DESC, a.id DESC LIMIT %(fetch)s
"""
# The planner does not know how rare a rare word is: for a list in the order of time it would search every alert. So the
# newest alerts are searched first, which finds a page of a common word,
_LIST_NEWEST_WITH_WORDS: Final = """
    SELECT a.*, c.incident_id, c.action
    FROM (
        SELECT * FROM alerts.alert AS a
        WHERE (%(service)s IS NULL OR a.service = %(service)s)
            AND (%(severity)s IS NULL OR a.severity = %(severity)s)
            AND (%(integration)s IS NULL OR a.integration = %(integration)s)
            AND (%(status)s IS NULL OR (a.resolved_at IS NULL) = (%(status)s = 'firing'))
            AND (%(fingerprint)s IS NULL OR a.fingerprint = %(fingerprint)s)
            AND (%(since)s IS NULL OR a.created_at >= %(since)s)
            AND (%(until)s IS NULL OR a.created_at < %(until)s)
            AND (%(after_at)s IS NULL OR (a.created_at, a.id) < (%(after_at)s, %(after_id)s))
        ORDER BY a.created_at DESC, a.id DESC LIMIT %(searched)s
    ) AS a JOIN alerts.correlation AS c ON c.alert_id = a.id
    WHERE to_tsvector('simple', a.message) @@ websearch_to_tsquery('simple', %(q)s)
        AND (%(action)s IS NULL OR c.action = %(action)s)
    ORDER BY a.created_at DESC, a.id DESC LIMIT %(fetch)s
"""
# and then the index of words, without an order that another index would provide.
_LIST_ALL_WITH_WORDS: Final = """
    WITH found AS MATERIALIZED (
        SELECT * FROM alerts.alert AS a
        WHERE to_tsvector('simple', a.message) @@ websearch_to_tsquery('simple', %(q)s)
            AND (%(service)s IS NULL OR a.service = %(service)s)
            AND (%(severity)s IS NULL OR a.severity = %(severity)s)
            AND (%(integration)s IS NULL OR a.integration = %(integration)s)
            AND (%(status)s IS NULL OR (a.resolved_at IS NULL) = (%(status)s = 'firing'))
            AND (%(fingerprint)s IS NULL OR a.fingerprint = %(fingerprint)s)
            AND (%(since)s IS NULL OR a.created_at >= %(since)s)
            AND (%(until)s IS NULL OR a.created_at < %(until)s)
            AND (%(after_at)s IS NULL OR (a.created_at, a.id) < (%(after_at)s, %(after_id)s)))
    SELECT a.*, c.incident_id, c.action
    FROM found AS a CROSS JOIN LATERAL (  -- a nested loop: there may be far fewer matches than the planner expects
        SELECT incident_id, action FROM alerts.correlation WHERE alert_id = a.id LIMIT 1
    ) AS c
    WHERE (%(action)s IS NULL OR c.action = %(action)s)
    ORDER BY a.created_at DESC, a.id DESC LIMIT %(fetch)s
"""
# The same list, read through the indexes on correlation: for one incident, which may have 100,000 alerts, or for a rare
# action. The index of unforwarded alerts finds the pending ones.
_LIST_BY_CORRELATION: Final = """
    SELECT a.*, c.incident_id, c.action
    FROM alerts.correlation AS c JOIN alerts.alert AS a ON a.id = c.alert_id
    WHERE (%(incident_id)s IS NULL OR c.incident_id = %(incident_id)s)
        AND (%(action)s IS DISTINCT FROM 'pending' OR c.forwarded_version < c.version)
        AND (%(service)s IS NULL OR a.service = %(service)s)
        AND (%(severity)s IS NULL OR a.severity = %(severity)s)
        AND (%(integration)s IS NULL OR a.integration = %(integration)s)
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
    """Return alerts, newest first, and one more than requested if there is a next page."""
    filters = {**query.model_dump(exclude={"limit", "cursor"}), **query.after()}
    if query.incident_id is not None or query.action in RARE_ACTIONS:
        return await fetch_all(cur, _LIST_BY_CORRELATION, **filters)
    if query.q is None:
        return await fetch_all(cur, _LIST, **filters)
    newest = await fetch_all(cur, _LIST_NEWEST_WITH_WORDS, **filters, searched=SEARCHED_NEWEST)
    if len(newest) == filters["fetch"]:
        return newest
    return await fetch_all(cur, _LIST_ALL_WITH_WORDS, **filters)


async def summarise(cur: Cursor, query: SummaryQuery) -> list[Row]:
    """Return the counts of a window's newest alerts by outcome (`action`); the row without one is the total."""
    return await fetch_all(
        cur,
        """
        WITH newest AS MATERIALIZED (
            SELECT id, created_at, occurrences FROM alerts.alert
            WHERE created_at >= COALESCE(%(since)s::timestamptz, tocsin.now() - interval '24 hours')
                AND (%(until)s::timestamptz IS NULL OR created_at < %(until)s)
            ORDER BY created_at DESC, id DESC LIMIT %(counted)s
        )
        SELECT c.action, count(*) AS alerts, count(DISTINCT c.incident_id) AS incidents,
            COALESCE(sum(newest.occurrences), 0) AS reports, min(newest.created_at) AS oldest
        FROM newest CROSS JOIN LATERAL (  -- a nested loop: correlation may have a thousand times as many rows
            SELECT action, incident_id FROM alerts.correlation WHERE alert_id = newest.id LIMIT 1
        ) AS c
        GROUP BY GROUPING SETS ((c.action), ())
        """,
        since=query.since,
        until=query.until,
        counted=SUMMARY_LIMIT,
    )


async def find_alert(cur: Cursor, alert_id: UUID) -> tuple[Row, Row | None] | None:
    """Return an alert and the request of its newest report, which is None after the retention."""
    found = await fetch_one(
        cur,
        """
        SELECT a.*, c.incident_id, c.action
        FROM alerts.alert AS a JOIN alerts.correlation AS c ON c.alert_id = a.id
        WHERE a.id = %(alert_id)s
        """,
        alert_id=alert_id,
    )
    if found is None:
        return None
    request = await fetch_one(
        cur,
        "SELECT id, integration, content_type, body, created_at FROM alerts.request WHERE id = %(request_id)s",
        request_id=found["request_id"],
    )
    return found, request
