"""Figures over many incidents, read from the roll-up."""

from datetime import date

from tocsin.incidents.domain.time_range import CalendarRange
from tocsin.kernel.db import Cursor, Row, fetch_all


async def select_periods(cur: Cursor, span: CalendarRange, *, team: str | None) -> list[Row]:
    """Return the figures of each non-empty period (`starts_on`), of the whole range, and of the range before.

    Both totals have no `starts_on`; `earlier` is true for the range before.
    """
    return await fetch_all(
        cur,
        """
        WITH figures AS NOT MATERIALIZED (
            SELECT day AS starts_on, severity, incidents,
                   acknowledged, acknowledgement_seconds, acknowledgement_histogram,
                   resolved, resolution_seconds, resolution_histogram, acknowledged_seconds, in_progress_seconds
            FROM incidents.team_day
            WHERE %(by)s = 'day' AND day >= %(before)s AND day < %(until)s
              AND (%(team)s::text IS NULL OR team = %(team)s)
            UNION ALL
            SELECT week, severity, incidents,
                   acknowledged, acknowledgement_seconds, acknowledgement_histogram,
                   resolved, resolution_seconds, resolution_histogram, acknowledged_seconds, in_progress_seconds
            FROM incidents.team_week
            WHERE %(by)s = 'week' AND week >= %(before)s AND week < %(until)s
              AND (%(team)s::text IS NULL OR team = %(team)s)),
        periods AS MATERIALIZED ( -- read once by both grouping sets
            SELECT starts_on < %(since)s AS earlier, CASE WHEN starts_on >= %(since)s THEN starts_on END AS starts_on,
                   sum(incidents) AS incidents,
                   sum(incidents) FILTER (WHERE severity = 'critical') AS critical,
                   sum(incidents) FILTER (WHERE severity = 'high') AS high,
                   sum(incidents) FILTER (WHERE severity = 'medium') AS medium,
                   sum(incidents) FILTER (WHERE severity = 'low') AS low,
                   sum(acknowledged) AS acknowledged, sum(acknowledgement_seconds) AS acknowledgement_seconds,
                   sum(acknowledgement_histogram) AS acknowledgement_histogram,
                   sum(resolved) AS resolved, sum(resolution_seconds) AS resolution_seconds,
                   sum(resolution_histogram) AS resolution_histogram,
                   sum(acknowledged_seconds) AS acknowledged_seconds, sum(in_progress_seconds) AS in_progress_seconds
            FROM figures
            GROUP BY 1, 2)
        SELECT earlier, starts_on, sum(incidents)::bigint AS incidents,
               sum(critical)::bigint AS critical, sum(high)::bigint AS high, sum(medium)::bigint AS medium,
               sum(low)::bigint AS low,
               sum(acknowledged)::bigint AS acknowledged, sum(acknowledgement_seconds) AS acknowledgement_seconds,
               sum(acknowledgement_histogram)::text AS acknowledgement_histogram,
               sum(resolved)::bigint AS resolved, sum(resolution_seconds) AS resolution_seconds,
               sum(resolution_histogram)::text AS resolution_histogram,
               sum(acknowledged_seconds) AS acknowledged_seconds, sum(in_progress_seconds) AS in_progress_seconds
        FROM periods
        GROUP BY GROUPING SETS ((earlier), (earlier, starts_on))
        HAVING NOT earlier OR grouping(starts_on) = 1
        """,
        before=span.before,
        since=span.since,
        until=span.until,
        by=span.by,
        team=team,
    )


async def select_daily_times(cur: Cursor, *, since: date) -> list[Row]:
    """Return the counts and sums of seconds of each day with incidents, from *since* on."""
    return await fetch_all(
        cur,
        """
        SELECT day, sum(acknowledged)::bigint AS acknowledged, sum(acknowledgement_seconds) AS acknowledgement_seconds,
               sum(resolved)::bigint AS resolved, sum(resolution_seconds) AS resolution_seconds
        FROM incidents.team_day WHERE day >= %(since)s GROUP BY day ORDER BY day
        """,
        since=since,
    )


async def select_services(cur: Cursor, span: CalendarRange, *, team: str | None, limit: int) -> list[Row]:
    """Return the figures of the *limit* services with most incidents, in that order, each with its main team.

    Whole weeks are read by week, which has a 28th of the rows.
    """
    first_week, last_week = span.whole_weeks
    return await fetch_all(
        cur,
        """
        WITH figures AS NOT MATERIALIZED (
            SELECT service, team, incidents, acknowledged, acknowledgement_seconds, acknowledgement_histogram,
                   resolved, resolution_seconds, resolution_histogram
            FROM incidents.service_day WHERE day >= %(since)s AND day < %(first_week)s
            UNION ALL
            SELECT service, team, incidents, acknowledged, acknowledgement_seconds, acknowledgement_histogram,
                   resolved, resolution_seconds, resolution_histogram
            FROM incidents.service_week WHERE week >= %(first_week)s AND week < %(last_week)s
            UNION ALL
            SELECT service, team, incidents, acknowledged, acknowledgement_seconds, acknowledgement_histogram,
                   resolved, resolution_seconds, resolution_histogram
            FROM incidents.service_day WHERE day >= %(last_week)s AND day < %(until)s),
        noisiest AS (
            SELECT service, sum(incidents) AS total FROM figures
            WHERE (%(team)s::text IS NULL OR team = %(team)s)
            GROUP BY service ORDER BY total DESC, service LIMIT %(limit)s),
        parts AS (
            SELECT service, total, team, sum(incidents) AS incidents,
                   sum(acknowledged) AS acknowledged, sum(acknowledgement_seconds) AS acknowledgement_seconds,
                   sum(acknowledgement_histogram) AS acknowledgement_histogram,
                   sum(resolved) AS resolved, sum(resolution_seconds) AS resolution_seconds,
                   sum(resolution_histogram) AS resolution_histogram
            FROM noisiest JOIN figures USING (service)
            WHERE (%(team)s::text IS NULL OR team = %(team)s)
            GROUP BY service, total, team)
        SELECT service, total::bigint AS incidents, (array_agg(team ORDER BY incidents DESC, team))[1] AS team,
               sum(acknowledged)::bigint AS acknowledged, sum(acknowledgement_seconds) AS acknowledgement_seconds,
               sum(acknowledgement_histogram)::text AS acknowledgement_histogram,
               sum(resolved)::bigint AS resolved, sum(resolution_seconds) AS resolution_seconds,
               sum(resolution_histogram)::text AS resolution_histogram
        FROM parts GROUP BY service, total ORDER BY total DESC, service
        """,
        since=span.since,
        first_week=first_week,
        last_week=last_week,
        until=span.until,
        team=team,
        limit=limit,
    )


async def select_teams(cur: Cursor, span: CalendarRange) -> list[str]:
    """Return the teams that have incidents in this range or the one before."""
    rows = await fetch_all(
        cur,
        """
        SELECT DISTINCT team FROM (
            SELECT team FROM incidents.team_day WHERE %(by)s = 'day' AND day >= %(before)s AND day < %(until)s
            UNION ALL
            SELECT team FROM incidents.team_week WHERE %(by)s = 'week' AND week >= %(before)s AND week < %(until)s
        ) AS found
        WHERE team <> '' ORDER BY team
        """,
        before=span.before,
        until=span.until,
        by=span.by,
    )
    return [row["team"] for row in rows]
