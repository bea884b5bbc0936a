"""Pager load per day.

Triggers mark incidents that change. For each marked incident the roll-up replaces its contribution to the figures and
deletes the mark, in one transaction.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from uuid import UUID

from tocsin.contracts.escalations import Level
from tocsin.kernel.db import Cursor, Json, Row, execute, fetch_all, fetch_one, required
from tocsin.oncall.domain.pager_load import EscalatedIncident, Interruption, PagerLoad, PagerLoadKind


async def lock_rollup(cur: Cursor) -> bool:
    """Lock the roll-up until the end of the transaction. Return False if another replica holds the lock."""
    return await fetch_one(cur, "SELECT single FROM oncall.rollup FOR UPDATE SKIP LOCKED") is not None


async def delete_stale(cur: Cursor, *, limit: int) -> list[UUID]:
    """Delete the oldest *limit* marks; return their distinct incidents."""
    rows = await fetch_all(
        cur,
        """
        WITH deleted AS (
            DELETE FROM oncall.stale
            WHERE id IN (SELECT id FROM oncall.stale ORDER BY id LIMIT %(limit)s)
            RETURNING incident_id)
        SELECT DISTINCT incident_id FROM deleted
        """,
        limit=limit,
    )
    return [row["incident_id"] for row in rows]


async def mark_history(cur: Cursor, *, limit: int) -> bool:
    """Mark the newest *limit* incidents before `history_from`; set it to the oldest of them. False if none is left."""
    row = await fetch_one(
        cur,
        """
        WITH newest AS (
            SELECT incident_id, created_at FROM oncall.escalation
            WHERE incident_id < (SELECT history_from FROM oncall.rollup)
            ORDER BY incident_id DESC LIMIT %(limit)s),
        marked AS (INSERT INTO oncall.stale (incident_id) SELECT incident_id FROM newest)
        UPDATE oncall.rollup
        SET history_from = (SELECT incident_id FROM newest ORDER BY incident_id LIMIT 1),
            history_before = (SELECT min(created_at) FROM newest)
        WHERE history_from IS NOT NULL
        RETURNING history_from IS NOT NULL AS more
        """,
        limit=limit,
    )
    return row is not None and row["more"]


async def find_escalated(cur: Cursor, incident_ids: Sequence[UUID]) -> list[EscalatedIncident]:
    """Return those of the incidents for which paging was started."""
    rows = await fetch_all(
        cur,
        """
        SELECT incident_id, team, incident ->> 'service' AS service,
               (incident ->> 'created_at')::timestamptz AS opened_at, stop_reason
        FROM oncall.escalation WHERE incident_id = ANY(%(ids)s::uuid[]) AND incident IS NOT NULL
        """,
        ids=list(incident_ids),
    )
    return [EscalatedIncident(**row) for row in rows]


async def find_interruptions(cur: Cursor, incident_ids: Sequence[UUID]) -> list[Interruption]:
    """Return the interruptions that the incidents caused."""
    rows = await fetch_all(
        cur,
        """
        SELECT incident_id, team, person, level, min(created_at) AS at
        FROM oncall.page
        WHERE incident_id = ANY(%(ids)s::uuid[]) AND cancelled_at IS NULL AND failed_at IS NULL
        GROUP BY incident_id, team, person, level, step
        """,
        ids=list(incident_ids),
    )
    return [Interruption(**{**row, "level": Level(row["level"])}) for row in rows]


async def find_contributions(cur: Cursor, incident_ids: Sequence[UUID]) -> dict[UUID, PagerLoad]:
    """Return the contribution of each incident that the figures include."""
    rows = await fetch_all(
        cur,
        "SELECT incident_id, parts FROM oncall.pager_load_contribution WHERE incident_id = ANY(%(ids)s::uuid[])",
        ids=list(incident_ids),
    )
    return {
        row["incident_id"]: {
            (PagerLoadKind(kind), date.fromisoformat(day), team, name, detail): (total, at_night)
            for kind, day, team, name, detail, total, at_night in row["parts"]
        }
        for row in rows
    }


async def upsert_contributions(cur: Cursor, contributions: Mapping[UUID, PagerLoad]) -> None:
    """Store the new contribution of each incident; delete an empty one."""
    await execute(
        cur,
        """
        INSERT INTO oncall.pager_load_contribution (incident_id, parts)
        SELECT incident_id, parts FROM unnest(%(ids)s::uuid[], %(parts)s::jsonb[]) AS given (incident_id, parts)
        ON CONFLICT (incident_id) DO UPDATE SET parts = EXCLUDED.parts
        """,
        ids=list(contributions),
        parts=[Json([[*_strings(key), *numbers] for key, numbers in load.items()]) for load in contributions.values()],
    )
    await execute(
        cur,
        "DELETE FROM oncall.pager_load_contribution WHERE incident_id = ANY(%(ids)s::uuid[]) AND parts = '[]'",
        ids=list(contributions),
    )


async def add_load(cur: Cursor, load: PagerLoad) -> None:
    """Add *load*, whose numbers may be negative; rows that drop to zero are deleted."""
    if not load:
        return
    kinds, days, teams, names, details = zip(*load, strict=True)
    keys = {
        "kinds": list(kinds),
        "days": list(days),
        "teams": list(teams),
        "names": list(names),
        "details": list(details),
    }
    await execute(
        cur,
        """
        INSERT INTO oncall.pager_load AS p (kind, day, team, name, detail, total, at_night)
        SELECT * FROM unnest(%(kinds)s::text[], %(days)s::date[], %(teams)s::text[], %(names)s::text[],
                             %(details)s::text[], %(totals)s::bigint[], %(nights)s::bigint[])
        ON CONFLICT (kind, day, team, name, detail)
        DO UPDATE SET total = p.total + EXCLUDED.total, at_night = p.at_night + EXCLUDED.at_night
        """,
        **keys,
        totals=[total for total, _ in load.values()],
        nights=[night for _, night in load.values()],
    )
    await execute(
        cur,
        """
        DELETE FROM oncall.pager_load
        WHERE total = 0 AND (kind, day, team, name, detail) IN (
            SELECT * FROM unnest(%(kinds)s::text[], %(days)s::date[], %(teams)s::text[], %(names)s::text[],
                                 %(details)s::text[]))
        """,
        **keys,
    )


async def select_progress(cur: Cursor) -> Row:
    """Return how current the figures are.

    `as_of`: every earlier change is included; `history_before`: incidents before it are not included yet, or null.
    """
    return required(
        await fetch_one(
            cur,
            """
            SELECT COALESCE((SELECT marked_at FROM oncall.stale ORDER BY id LIMIT 1), tocsin.now()) AS as_of,
                   CASE WHEN history_from IS NOT NULL THEN COALESCE(history_before, tocsin.now()) END AS history_before
            FROM oncall.rollup
            """,
        )
    )


async def select_outcomes(cur: Cursor, *, before: date, since: date, until: date, team: str | None) -> list[Row]:
    """Return the number of incidents by highest level and outcome; `earlier` is true for those before *since*."""
    return await fetch_all(
        cur,
        """
        SELECT day < %(since)s AS earlier, name AS level, detail AS outcome, sum(total)::bigint AS incidents
        FROM oncall.pager_load
        WHERE kind = 'outcome' AND day >= %(before)s AND day < %(until)s
          AND (%(team)s::text IS NULL OR team = %(team)s)
        GROUP BY 1, 2, 3
        """,
        before=before,
        since=since,
        until=until,
        team=team,
    )


async def select_people(cur: Cursor, *, since: date, until: date, team: str | None, limit: int) -> list[Row]:
    """Return the pages per person, ordered by pages at night."""
    return await fetch_all(
        cur,
        """
        SELECT name AS person, team, sum(total)::bigint AS pages, sum(at_night)::bigint AS night_pages,
               count(*) FILTER (WHERE at_night > 0) AS nights
        FROM oncall.pager_load
        WHERE kind = 'person' AND day >= %(since)s AND day < %(until)s
          AND (%(team)s::text IS NULL OR team = %(team)s)
        GROUP BY name, team ORDER BY night_pages DESC, pages DESC, person, team LIMIT %(limit)s
        """,
        since=since,
        until=until,
        team=team,
        limit=limit,
    )


async def count_nights(cur: Cursor, *, before: date, since: date, until: date, team: str | None) -> Row:
    """Return the number of nights with a page: from *since* on (`nights`), and before it (`earlier`)."""
    return required(
        await fetch_one(
            cur,
            """
            SELECT count(DISTINCT day) FILTER (WHERE day >= %(since)s) AS nights,
                   count(DISTINCT day) FILTER (WHERE day < %(since)s) AS earlier
            FROM oncall.pager_load
            WHERE kind = 'person' AND at_night > 0 AND day >= %(before)s AND day < %(until)s
              AND (%(team)s::text IS NULL OR team = %(team)s)
            """,
            before=before,
            since=since,
            until=until,
            team=team,
        )
    )


async def select_services(
    cur: Cursor, *, kind: PagerLoadKind, since: date, until: date, team: str | None, limit: int
) -> list[Row]:
    """Return the services with most incidents; *kind* selects the figures by day or by week."""
    return await fetch_all(
        cur,
        """
        SELECT name AS service, sum(total)::bigint AS incidents, sum(at_night)::bigint AS at_night
        FROM oncall.pager_load
        WHERE kind = %(kind)s AND day >= %(since)s AND day < %(until)s
          AND (%(team)s::text IS NULL OR team = %(team)s)
        GROUP BY name ORDER BY incidents DESC, service LIMIT %(limit)s
        """,
        kind=kind,
        since=since,
        until=until,
        team=team,
        limit=limit,
    )


def _strings(key: Iterable[object]) -> list[str]:
    return [part.isoformat() if isinstance(part, date) else str(part) for part in key]
