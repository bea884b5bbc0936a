"""Counts of incidents for the gauges that Prometheus scrapes."""

from tocsin.contracts.incidents import IncidentStatus
from tocsin.contracts.model import Severity
from tocsin.kernel.db import Cursor, Row, execute, fetch_all


async def count_by_status(cur: Cursor) -> dict[IncidentStatus, int]:
    """Return the number of incidents of each status, from the differences that triggers have written."""
    rows = await fetch_all(
        cur,
        """
        SELECT wanted.status, COALESCE(sum(change), 0)::bigint AS incidents
        FROM unnest(%(statuses)s::text[]) AS wanted (status) LEFT JOIN incidents.status_change USING (status)
        GROUP BY wanted.status
        """,
        statuses=list(IncidentStatus),
    )
    return {IncidentStatus(row["status"]): row["incidents"] for row in rows}


async def merge_status_changes(cur: Cursor, *, more_than: int) -> None:
    """Replace the differences by their sums once there are *more_than* of them, while holding the roll-up's lock."""
    await execute(
        cur,
        """
        WITH merged AS (
            DELETE FROM incidents.status_change
            WHERE (SELECT count(*) FROM incidents.status_change) > %(more_than)s
            RETURNING status, change)
        INSERT INTO incidents.status_change (status, change) SELECT status, sum(change) FROM merged
        GROUP BY status HAVING sum(change) <> 0
        """,
        more_than=more_than,
    )


async def count_unresolved_by_severity(cur: Cursor) -> dict[Severity, int]:
    """Count the unresolved incidents of each severity; a severity without any is left out."""
    rows = await fetch_all(
        cur,
        """
        SELECT severity, count(*) AS incidents FROM incidents.incident WHERE status <> 'resolved' GROUP BY severity
        """,
    )
    return {Severity(row["severity"]): row["incidents"] for row in rows}


async def count_unresolved_by_service(cur: Cursor, *, limit: int) -> list[Row]:
    """Count the unresolved incidents of each service, team and severity.

    The *limit* services with most incidents are named; the rest are summed up as `other`, which bounds the labels.
    """
    return await fetch_all(
        cur,
        """
        WITH figures AS MATERIALIZED (
            SELECT service, COALESCE(team, '') AS team, severity, count(*) AS incidents
            FROM incidents.incident WHERE status <> 'resolved' GROUP BY 1, 2, 3),
        busiest AS (
            SELECT service FROM figures GROUP BY service ORDER BY sum(incidents) DESC, service LIMIT %(limit)s)
        SELECT COALESCE(busiest.service, 'other') AS service, team, severity, sum(incidents) AS incidents
        FROM figures LEFT JOIN busiest USING (service) GROUP BY 1, 2, 3
        """,
        limit=limit,
    )


async def count_last_day(cur: Cursor, *, limit: int) -> list[Row]:
    """Sum up the incidents of the last 24 hours by service, team and severity.

    The *limit* services with most alerts are named; the rest are summed up as `other`, which bounds the labels.
    """
    return await fetch_all(
        cur,
        """
        WITH figures AS MATERIALIZED (
            SELECT service, COALESCE(team, '') AS team, severity, count(*) AS incidents, sum(alert_count) AS alerts,
                   count(acknowledged_at) AS acknowledged,
                   COALESCE(sum(EXTRACT(epoch FROM acknowledged_at - created_at)), 0) AS acknowledgement_seconds,
                   count(resolved_at) AS resolved,
                   COALESCE(sum(EXTRACT(epoch FROM resolved_at - created_at)), 0) AS resolution_seconds
            FROM incidents.incident
            WHERE created_at > tocsin.now() - interval '24 hours' GROUP BY 1, 2, 3),
        busiest AS (
            SELECT service FROM figures GROUP BY service ORDER BY sum(alerts) DESC, sum(incidents) DESC, service
            LIMIT %(limit)s)
        SELECT COALESCE(busiest.service, 'other') AS service, team, severity,
               sum(incidents) AS incidents, sum(alerts) AS alerts,
               sum(acknowledged) AS acknowledged, sum(acknowledgement_seconds) AS acknowledgement_seconds,
               sum(resolved) AS resolved, sum(resolution_seconds) AS resolution_seconds
        FROM figures LEFT JOIN busiest USING (service) GROUP BY 1, 2, 3
        """,
        limit=limit,
    )
