"""What the incidents of a day come to, kept beside them.

A trigger marks a day and service in the transaction that changes one of its incidents; whoever holds the lock takes
marks and works out afresh what they name. A mark and the figures made for it are one transaction: killed anywhere in
between, the mark is still there. Each statement sees all that was committed with the marks taken before it; what is
committed later has marks of its own.
"""

from collections.abc import Sequence
from datetime import date

from tocsin.incidents.domain.histogram import DIGITS, EDGES
from tocsin.kernel.db import Cursor, Row, execute, fetch_all, fetch_one, required


async def lock_rollup(cur: Cursor) -> bool:
    """Become the one replica that works on the roll-up until the end of the transaction; False where another is."""
    return await fetch_one(cur, "SELECT single FROM incidents.rollup FOR UPDATE SKIP LOCKED") is not None


async def take_stale(cur: Cursor, *, limit: int) -> list[Row]:
    """Delete the oldest *limit* marks; return the days and services that they name, each pair once."""
    return await fetch_all(
        cur,
        """
        WITH taken AS (
            DELETE FROM incidents.stale
            WHERE id IN (SELECT id FROM incidents.stale ORDER BY id LIMIT %(limit)s)
            RETURNING day, service)
        SELECT DISTINCT day, service FROM taken
        """,
        limit=limit,
    )


async def mark_history(cur: Cursor) -> bool:
    """Mark the newest day of the history that was there before there were marks; False once there is none left."""
    row = await fetch_one(
        cur,
        """
        WITH newest AS (
            SELECT date_trunc('day', created_at, 'UTC') AS begins_at FROM incidents.incident
            WHERE created_at < (SELECT history_before FROM incidents.rollup)
            ORDER BY created_at DESC LIMIT 1),
        marked AS (
            INSERT INTO incidents.stale (day, service)
            SELECT DISTINCT (created_at AT TIME ZONE 'UTC')::date, service FROM incidents.incident
            WHERE created_at >= (SELECT begins_at FROM newest)
              AND created_at < (SELECT begins_at + interval '1 day' FROM newest))
        UPDATE incidents.rollup SET history_before = COALESCE((SELECT begins_at FROM newest), '-infinity')
        WHERE history_before > '-infinity'
        RETURNING history_before > '-infinity' AS more
        """,
    )
    return row is not None and row["more"]


async def refresh_services(cur: Cursor, *, days: Sequence[date], services: Sequence[str]) -> None:
    """Work out afresh, from the incidents, the figures of the pairs of *days* and *services*."""
    await execute(
        cur,
        """
        DELETE FROM incidents.service_day
        WHERE (day, service) IN (SELECT * FROM unnest(%(days)s::date[], %(services)s::text[]))
        """,
        days=days,
        services=services,
    )
    await execute(
        cur,
        """
        INSERT INTO incidents.service_day
            (day, service, team, severity, incidents, answered, answer_seconds, answer_histogram,
             resolved, resolve_seconds, resolve_histogram, acknowledged_seconds, in_progress_seconds)
        SELECT day, service, team, severity, count(*),
               count(answer_seconds), COALESCE(sum(answer_seconds), 0),
               COALESCE(sum(rpad('1', 1 + %(digits)s * width_bucket(answer_seconds, edges), '0')::numeric), 0),
               count(resolve_seconds), COALESCE(sum(resolve_seconds), 0),
               COALESCE(sum(rpad('1', 1 + %(digits)s * width_bucket(resolve_seconds, edges), '0')::numeric), 0),
               COALESCE(sum(EXTRACT(epoch FROM COALESCE(began_at, resolved_at) - acknowledged_at)), 0),
               COALESCE(sum(EXTRACT(epoch FROM resolved_at - began_at)), 0)
        FROM (SELECT %(edges)s::float8[] AS edges) AS bins,
            unnest(%(days)s::date[], %(services)s::text[]) AS asked (day, service)
        CROSS JOIN LATERAL (
            SELECT COALESCE(i.team, '') AS team, i.severity, i.acknowledged_at, i.resolved_at,
                   EXTRACT(epoch FROM i.acknowledged_at - i.created_at)::float8 AS answer_seconds,
                   EXTRACT(epoch FROM i.resolved_at - i.created_at)::float8 AS resolve_seconds,
                   -- Never before the answer, though the transaction's clock may say so: it stands still at a lock.
                   CASE WHEN began.at IS NOT NULL THEN LEAST(GREATEST(began.at, i.acknowledged_at), i.resolved_at) END
                       AS began_at
            FROM incidents.incident AS i
            CROSS JOIN LATERAL (
                SELECT min(t.created_at) AS at FROM incidents.timeline AS t
                WHERE t.incident_id = i.id AND t.event_type = 'status_changed'
                  AND t.data ->> 'to' = 'in_progress') AS began
            WHERE i.service = asked.service
              AND i.created_at >= asked.day::timestamp AT TIME ZONE 'UTC'
              AND i.created_at < (asked.day + 1)::timestamp AT TIME ZONE 'UTC'
            OFFSET 0) AS incident -- a fence: one look into the index for each pair, whatever their number
        GROUP BY day, service, team, severity
        """,
        days=days,
        services=services,
        edges=list(EDGES),
        digits=DIGITS,
    )


async def refresh_teams(cur: Cursor, days: Sequence[date]) -> None:
    """Add up the services of *days*. Triggers then add up the weeks of the teams."""
    await execute(cur, "DELETE FROM incidents.team_day WHERE day = ANY(%(days)s::date[])", days=days)
    await execute(
        cur,
        """
        INSERT INTO incidents.team_day
            (day, team, severity, incidents, answered, answer_seconds, answer_histogram,
             resolved, resolve_seconds, resolve_histogram, acknowledged_seconds, in_progress_seconds)
        SELECT day, team, severity, sum(incidents), sum(answered), sum(answer_seconds), sum(answer_histogram),
               sum(resolved), sum(resolve_seconds), sum(resolve_histogram),
               sum(acknowledged_seconds), sum(in_progress_seconds)
        FROM incidents.service_day WHERE day = ANY(%(days)s::date[])
        GROUP BY day, team, severity
        """,
        days=days,
    )


async def refresh_weeks(cur: Cursor, *, days: Sequence[date], services: Sequence[str]) -> None:
    """Add up the weeks of services in which *days* lie, for the service of each."""
    await execute(
        cur,
        """
        DELETE FROM incidents.service_week
        WHERE (week, service) IN (
            SELECT date_trunc('week', day)::date, service
            FROM unnest(%(days)s::date[], %(services)s::text[]) AS asked (day, service))
        """,
        days=days,
        services=services,
    )
    await execute(
        cur,
        """
        INSERT INTO incidents.service_week
            (week, service, team, incidents, answered, answer_seconds, answer_histogram,
             resolved, resolve_seconds, resolve_histogram)
        SELECT week, service, team, sum(incidents), sum(answered), sum(answer_seconds), sum(answer_histogram),
               sum(resolved), sum(resolve_seconds), sum(resolve_histogram)
        FROM (
            SELECT DISTINCT date_trunc('week', day)::date AS week, service
            FROM unnest(%(days)s::date[], %(services)s::text[]) AS asked (day, service)) AS asked
        CROSS JOIN generate_series(0, 6) AS number
        JOIN incidents.service_day USING (service)
        WHERE service_day.day = week + number
        GROUP BY week, service, team
        """,
        days=days,
        services=services,
    )


async def select_progress(cur: Cursor) -> Row:
    """Return how far the roll-up is behind.

    `as_of`: all that happened before is in it; `history_before`: earlier days are still being added, or null.
    """
    return required(
        await fetch_one(
            cur,
            """
            SELECT COALESCE((SELECT marked_at FROM incidents.stale ORDER BY id LIMIT 1), now()) AS as_of,
                   CASE WHEN history_before > '-infinity' THEN LEAST(history_before, now()) END AS history_before
            FROM incidents.rollup
            """,
        )
    )
