"""Statements that tell alerts on."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from tocsin.alerts.domain import StoredAlert
from tocsin.alerts.repository.rows import document, stored_alert
from tocsin.contracts.incidents import Correlation
from tocsin.kernel.db import Cursor, execute, fetch_all, fetch_one, required


async def link_alerts(cur: Cursor, told: Iterable[tuple[StoredAlert, Correlation]]) -> int:
    """Note where incident management put alerts; what it was told of a later version meanwhile stays.

    How an alert came to its incident is noted even where the answer is overtaken by that to its end.
    """
    return await execute(
        cur,
        """
        UPDATE alerts.correlation AS c
        SET incident_id = CASE WHEN c.told_version < told.version THEN told.incident_id ELSE c.incident_id END,
            told_version = GREATEST(c.told_version, told.version),
            action = CASE WHEN c.action = 'pending' OR told.action IN ('new_incident', 'attached_to_existing_incident')
                THEN told.action ELSE c.action END
        FROM json_to_recordset(%(told)s) AS told (alert_id uuid, incident_id uuid, version integer, action text)
        WHERE c.alert_id = told.alert_id AND (c.told_version < told.version OR c.action = 'resolved')
        """,
        told=document(
            [
                {
                    "alert_id": alert.id,
                    "incident_id": correlation.incident_id,
                    "version": alert.version,
                    "action": correlation.action,
                }
                for alert, correlation in told
            ]
        ),
    )


async def lease_untold(cur: Cursor, *, now: datetime | None, lease: float, limit: int) -> list[StoredAlert]:
    """Take the longest waiting of the alerts that are to be told; nobody else takes them before the lease ends."""
    rows = await fetch_all(
        cur,
        """
        WITH taken AS (
            UPDATE alerts.correlation AS c
            SET next_tell_at = COALESCE(%(now)s, now()) + %(lease)s * interval '1 second'
            WHERE c.alert_id = ANY (ARRAY(
                SELECT alert_id FROM alerts.correlation
                WHERE told_version < version AND next_tell_at <= COALESCE(%(now)s, now())
                ORDER BY next_tell_at LIMIT %(limit)s
                FOR UPDATE SKIP LOCKED))
            RETURNING c.alert_id, c.incident_id, c.version
        )
        SELECT a.*, incident_id, version FROM taken JOIN alerts.alert AS a ON a.id = alert_id
        """,
        now=now,
        lease=lease,
        limit=limit,
    )
    return [stored_alert(row) for row in rows]


async def find_trace_contexts(cur: Cursor, alert_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Return the trace of the newest report of each alert that has one."""
    rows = await fetch_all(
        cur,
        """
        SELECT a.id, r.trace_context FROM alerts.alert AS a JOIN alerts.request AS r ON r.id = a.request_id
        WHERE a.id = ANY (%(alert_ids)s::uuid[]) AND r.trace_context IS NOT NULL
        """,
        alert_ids=list(alert_ids),
    )
    return {row["id"]: row["trace_context"] for row in rows}


async def postpone(cur: Cursor, alert_ids: Sequence[UUID], *, now: datetime | None, seconds: float) -> None:
    """Let alerts wait *seconds*, and at random up to twice that, before they are told again."""
    await execute(
        cur,
        """
        UPDATE alerts.correlation
        SET next_tell_at = COALESCE(%(now)s, now()) + %(seconds)s * (1 + random()) * interval '1 second'
        WHERE alert_id = ANY (%(alert_ids)s::uuid[])
        """,
        alert_ids=list(alert_ids),
        now=now,
        seconds=seconds,
    )


async def measure_untold(cur: Cursor, *, now: datetime | None) -> tuple[int, float]:
    """Return how many alerts are not told yet, and for how many seconds the oldest waits."""
    row = required(
        await fetch_one(
            cur,
            """
            SELECT count(*) AS alerts,
                COALESCE(EXTRACT(epoch FROM COALESCE(%(now)s, now()) - min(changed_at)), 0)::float8 AS seconds
            FROM alerts.correlation WHERE told_version < version
            """,
            now=now,
        )
    )
    return row["alerts"], row["seconds"]
