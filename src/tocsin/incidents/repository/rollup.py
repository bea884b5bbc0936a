"""The roll-up of incidents: figures per service, team and day or week, refreshed when incidents change.

A trigger marks the day and service of an incident in the transaction that changes it. The replica that holds the lock
deletes marks and recomputes the figures of their days and services in one transaction, so that a crash loses no mark.
Each statement sees every change that was committed before its marks were deleted; a later change has its own mark.
"""

from collections.abc import Sequence
from datetime import date

from tocsin.incidents.domain.histogram import DIGITS, EDGES
from tocsin.kernel.db import Cursor, Row, execute, fetch_all, fetch_one, required


async def lock_rollup(cur: Cursor) -> bool:
    """Lock the roll-up until the end of the transaction. Return False if another replica holds the lock."""
    return await fetch_one(cur, "SELECT single FROM incidents.rollup FOR UPDATE SKIP LOCKED") is not None


async def delete_stale(cur: Cursor, *, limit: int) -> list[Row]:
    """Delete the oldest *limit* marks; return their distinct days and services."""
    return await fetch_all(
        cur,
        """
        WITH deleted AS (
            DELETE FROM incidents.stale
            WHERE id IN (SELECT id FROM incidents.stale ORDER BY id LIMIT %(limit)s)
            RETURNING day, service)
        SELECT DISTINCT day, service FROM deleted
        """,
        limit=limit,
    )


async def mark_history(cur: Cursor) -> bool:
    """Mark the newest day before `history_before`, and set `history_before` to its start; False once no day is left.

    Setting `history_before` to `infinity` rebuilds all figures.
    """
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
    """Recompute, from the incidents, the figures of each pair of *days* and *services*."""
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
            (day, service, team, severity, incidents,
             acknowledged, acknowledgement_seconds, acknowledgement_histogram,
             resolved, resolution_seconds, resolution_histogram, acknowledged_seconds, in_progress_seconds)
        SELECT day, service, team, severity, count(*),
               count(mtta), COALESCE(sum(mtta), 0),
               COALESCE(sum(rpad('1', 1 + %(digits)s * width_bucket(mtta, edges), '0')::numeric), 0),
               count(mttr), COALESCE(sum(mttr), 0),
               COALESCE(sum(rpad('1', 1 + %(digits)s * width_bucket(mttr, edges), '0')::numeric), 0),
               COALESCE(sum(EXTRACT(epoch FROM COALESCE(began_at, resolved_at) - acknowledged_at)), 0),
               COALESCE(sum(EXTRACT(epoch FROM resolved_at - began_at)), 0)
        FROM (SELECT %(edges)s::float8[] AS edges) AS bins,
            unnest(%(days)s::date[], %(services)s::text[]) AS wanted (day, service)
        CROSS JOIN LATERAL (
            SELECT COALESCE(i.team, '') AS team, i.severity, i.acknowledged_at, i.resolved_at,
                   EXTRACT(epoch FROM i.acknowledged_at - i.created_at)::float8 AS mtta,
                   EXTRACT(epoch FROM i.resolved_at - i.created_at)::float8 AS mttr,
                   -- The entry's time is when its transaction began, which can precede the acknowledgement.
                   CASE WHEN began.at IS NOT NULL THEN LEAST(GREATEST(began.at, i.acknowledged_at), i.resolved_at) END
                       AS began_at
            FROM incidents.incident AS i
            CROSS JOIN LATERAL (
                SELECT min(t.created_at) AS at FROM incidents.timeline AS t
                WHERE t.incident_id = i.id AND t.event_type = 'status_changed'
                  AND t.data ->> 'to' = 'in_progress') AS began
            WHERE i.service = wanted.service
              AND i.created_at >= wanted.day::timestamp AT TIME ZONE 'UTC'
              AND i.created_at < (wanted.day + 1)::timestamp AT TIME ZONE 'UTC'
            OFFSET 0) AS incident -- an optimisation fence: one index scan per pair, whatever their number
        GROUP BY day, service, team, severity
        """,
        days=days,
        services=services,
        edges=list(EDGES),
        digits=DIGITS,
    )


async def refresh_teams(cur: Cursor, days: Sequence[date]) -> None:
    """Sum up the services of *days* by team, and the days of their weeks."""
    await execute(cur, "DELETE FROM incidents.team_day WHERE day = ANY(%(days)s::date[])", days=days)
    await execute(
        cur,
        """
        INSERT INTO incidents.team_day
            (day, team, severity, incidents, acknowledged, acknowledgement_seconds, acknowledgement_histogram,
             resolved, resolution_seconds, resolution_histogram, acknowledged_seconds, in_progress_seconds)
        SELECT day, team, severity, sum(incidents),
               sum(acknowledged), sum(acknowledgement_seconds), sum(acknowledgement_histogram),
               sum(resolved), sum(resolution_seconds), sum(resolution_histogram),
               sum(acknowledged_seconds), sum(in_progress_seconds)
        FROM incidents.service_day WHERE day = ANY(%(days)s::date[])
        GROUP BY day, team, severity
        """,
        days=days,
    )
    await execute(
        cur,
        """
        DELETE FROM incidents.team_week
        WHERE week IN (SELECT date_trunc('week', day)::date FROM unnest(%(days)s::date[]) AS day)
        """,
        days=days,
    )
    await execute(
        cur,
        """
        INSERT INTO incidents.team_week
            (week, team, severity, incidents, acknowledged, acknowledgement_seconds, acknowledgement_histogram,
             resolved, resolution_seconds, resolution_histogram, acknowledged_seconds, in_progress_seconds)
        SELECT week, team, severity, sum(incidents),
               sum(acknowledged), sum(acknowledgement_seconds), sum(acknowledgement_histogram),
               sum(resolved), sum(resolution_seconds), sum(resolution_histogram),
               sum(acknowledged_seconds), sum(in_progress_seconds)
        FROM (SELECT DISTINCT date_trunc('week', day)::date AS week FROM unnest(%(days)s::date[]) AS day) AS wanted
        JOIN incidents.team_day ON day >= week AND day < week + 7
        GROUP BY week, team, severity
        """,
        days=days,
    )


async def refresh_weeks(cur: Cursor, *, days: Sequence[date], services: Sequence[str]) -> None:
    """Sum up the week of each pair of *days* and *services*."""
    await execute(
        cur,
        """
        DELETE FROM incidents.service_week
        WHERE (week, service) IN (
            SELECT date_trunc('week', day)::date, service
            FROM unnest(%(days)s::date[], %(services)s::text[]) AS wanted (day, service))
        """,
        days=days,
        services=services,
    )
    await execute(
        cur,
        """
        INSERT INTO incidents.service_week
            (week, service, team, incidents, acknowledged, acknowledgement_seconds, acknowledgement_histogram,
             resolved, resolution_seconds, resolution_histogram)
        SELECT week, service, team, sum(incidents),
               sum(acknowledged), sum(acknowledgement_seconds), sum(acknowledgement_histogram),
               sum(resolved), sum(resolution_seconds), sum(resolution_histogram)
        FROM (
            SELECT DISTINCT date_trunc('week', day)::date AS week, service
            FROM unnest(%(days)s::date[], %(services)s::text[]) AS wanted (day, service)) AS wanted
        CROSS JOIN generate_series(0, 6) AS number
        JOIN incidents.service_day USING (service)
        WHERE service_day.day = week + number
        GROUP BY week, service, team
        """,
        days=days,
        services=services,
    )


async def select_progress(cur: Cursor) -> Row:
    """Return how far the roll-up is behind, and the time.

    `as_of`: every earlier change is included; `history_before`: older incidents are still being added, or null.
    """
    return required(
        await fetch_one(
            cur,
            """
            SELECT tocsin.now() AS now,
                   COALESCE((SELECT marked_at FROM incidents.stale ORDER BY id LIMIT 1), tocsin.now()) AS as_of,
                   CASE WHEN history_before > '-infinity' THEN LEAST(history_before, tocsin.now()) END AS history_before
            FROM incidents.rollup
            """,
        )
    )
