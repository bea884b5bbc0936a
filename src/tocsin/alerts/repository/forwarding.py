"""Statements that lease alerts for forwarding, and record what was forwarded."""

from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

from tocsin.alerts.domain import StoredAlert
from tocsin.alerts.repository.mapping import document, stored_alert
from tocsin.contracts.alerts import AlertAction
from tocsin.contracts.incidents import Correlation
from tocsin.kernel.db import Cursor, defer, execute, fetch_all, fetch_one, required

_LINK_FREE: Final = """
    WITH new AS MATERIALIZED (
        SELECT * FROM json_to_recordset(%(correlated)s)
            AS new (alert_id uuid, incident_id uuid, version integer, action text)
    ), locked AS MATERIALIZED (
        SELECT alert_id FROM alerts.correlation
        WHERE alert_id = ANY (ARRAY(SELECT alert_id FROM new)) AND alert_id BETWEEN %(first)s AND %(last)s
        FOR NO KEY UPDATE SKIP LOCKED
    ), linked AS (
        UPDATE alerts.correlation AS c
        SET incident_id = CASE WHEN c.forwarded_version < new.version THEN new.incident_id ELSE c.incident_id END,
            forwarded_version = GREATEST(c.forwarded_version, new.version),
            action = CASE WHEN c.action = 'pending' OR new.action IN ('new_incident', 'attached_to_existing_incident')
                THEN new.action ELSE c.action END
        FROM new
        WHERE c.alert_id = new.alert_id AND (c.forwarded_version < new.version OR c.action = 'resolved')
            AND c.alert_id = ANY (ARRAY(SELECT alert_id FROM locked)) AND c.alert_id BETWEEN %(first)s AND %(last)s
    )
    SELECT alert_id FROM new EXCEPT SELECT alert_id FROM locked
"""
_LINK: Final = _LINK_FREE.replace(" SKIP LOCKED", "")


async def link_alerts(cur: Cursor, correlated: Iterable[tuple[StoredAlert, Correlation]]) -> None:
    """Link alerts to their incidents, unless a later version is linked already.

    How an alert joined its incident is recorded even if that response arrives after the response to its resolve. The
    commit does not wait for the disk: an alert whose link is lost in a crash of the server is forwarded again.

    *cur* commits each statement, and a statement waits for the lock of one row and holds no other: it cannot be part of
    a deadlock with a batch of reports. That batch's other rows are free at the same time.
    """
    left = {alert.id: (alert, correlation) for alert, correlation in correlated}
    while left:
        locked = await _link(cur, left.values(), _LINK_FREE)
        left = {alert_id: left[alert_id] for alert_id in locked}
        if left:
            _, first = left.popitem()
            await _link(cur, [first], _LINK)


async def _link(cur: Cursor, correlated: Iterable[tuple[StoredAlert, Correlation]], sql: str) -> list[UUID]:
    """Link alerts; return those whose rows are skipped because they are locked.

    With the bounds of their ids, the planner leaves out all partitions but those of the alerts.
    """
    correlated = list(correlated)
    await defer(cur, "SET LOCAL synchronous_commit = off")
    rows = await fetch_all(
        cur,
        sql,
        correlated=document(
            [
                {
                    "alert_id": alert.id,
                    "incident_id": correlation.incident_id,
                    "version": alert.version,
                    "action": _recorded(correlation),
                }
                for alert, correlation in correlated
            ]
        ),
        first=min(alert.id for alert, _ in correlated),
        last=max(alert.id for alert, _ in correlated),
    )
    return [row["alert_id"] for row in rows]


def _recorded(correlation: Correlation) -> AlertAction:
    """Return how the alert joined its incident, also if a later report is correlated before, or a lost link again."""
    if correlation.action is AlertAction.REPEATED and correlation.joined is not None:
        return correlation.joined
    return correlation.action


async def lease_overdue(cur: Cursor, *, lease: float, limit: int) -> list[StoredAlert]:
    """Lease the alerts whose forwarding is overdue, oldest first, for *lease* seconds."""
    rows = await fetch_all(
        cur,
        """
        WITH taken AS (
            UPDATE alerts.correlation AS c
            SET next_forward_at = tocsin.now() + %(lease)s * interval '1 second'
            WHERE c.alert_id = ANY (ARRAY(
                SELECT alert_id FROM alerts.correlation
                WHERE forwarded_version < version AND next_forward_at <= tocsin.now()
                ORDER BY next_forward_at LIMIT %(limit)s
                FOR UPDATE SKIP LOCKED))
            RETURNING c.alert_id, c.incident_id, c.version
        )
        SELECT a.*, incident_id, version FROM taken JOIN alerts.alert AS a ON a.id = alert_id
        """,
        lease=lease,
        limit=limit,
    )
    return [stored_alert(row) for row in rows]


async def find_trace_contexts(cur: Cursor, alert_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Return the trace context of each alert's newest report, without those that have none."""
    rows = await fetch_all(
        cur,
        """
        SELECT a.id, r.trace_context FROM alerts.alert AS a JOIN alerts.request AS r ON r.id = a.request_id
        WHERE a.id = ANY (%(alert_ids)s::uuid[]) AND r.trace_context IS NOT NULL
        """,
        alert_ids=list(alert_ids),
    )
    return {row["id"]: row["trace_context"] for row in rows}


async def postpone(cur: Cursor, alert_ids: Sequence[UUID], *, seconds: float) -> None:
    """Delay the next attempt to forward alerts by *seconds*.

    Rows that a batch of reports has locked are skipped: it sets their time itself.
    """
    await execute(
        cur,
        """
        UPDATE alerts.correlation
        SET next_forward_at = tocsin.now() + %(seconds)s * interval '1 second'
        WHERE alert_id = ANY (%(alert_ids)s::uuid[]) AND alert_id = ANY (ARRAY(
            SELECT alert_id FROM alerts.correlation WHERE alert_id = ANY (%(alert_ids)s::uuid[])
            FOR NO KEY UPDATE SKIP LOCKED))
        """,
        alert_ids=list(alert_ids),
        seconds=seconds,
    )


async def measure_unforwarded(cur: Cursor) -> tuple[int, float]:
    """Return how many alerts are not forwarded yet, and the age of the oldest change in seconds."""
    row = required(
        await fetch_one(
            cur,
            """
            SELECT count(*) AS alerts,
                COALESCE(EXTRACT(epoch FROM tocsin.now() - min(changed_at)), 0)::float8 AS seconds
            FROM alerts.correlation WHERE forwarded_version < version
            """,
        )
    )
    return row["alerts"], row["seconds"]
