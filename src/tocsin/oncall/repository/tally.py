"""What paging came to, by day. A mark, the figures made for it and the note of what was counted are one transaction."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from uuid import UUID

from tocsin.contracts.oncall import Level
from tocsin.kernel.db import Cursor, Json, Row, execute, fetch_all, fetch_one, required
from tocsin.oncall.nights import Escalated, Kind, Paged, Parts


async def lock_rollup(cur: Cursor) -> bool:
    """Become the one replica that works on the tally until the end of the transaction; False where another is."""
    return await fetch_one(cur, "SELECT single FROM oncall.rollup FOR UPDATE SKIP LOCKED") is not None


async def take_stale(cur: Cursor, *, limit: int) -> list[UUID]:
    """Delete the oldest *limit* marks; return the incidents that they name, each once."""
    rows = await fetch_all(
        cur,
        """
        WITH taken AS (
            DELETE FROM oncall.stale
            WHERE id IN (SELECT id FROM oncall.stale ORDER BY id LIMIT %(limit)s)
            RETURNING incident_id)
        SELECT DISTINCT incident_id FROM taken
        """,
        limit=limit,
    )
    return [row["incident_id"] for row in rows]


async def mark_history(cur: Cursor, *, limit: int) -> bool:
    """Mark the newest *limit* incidents that were there before there were marks; False once there is none left."""
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


async def find_escalated(cur: Cursor, incident_ids: Sequence[UUID]) -> list[Escalated]:
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
    return [Escalated(**row) for row in rows]


async def find_paged(cur: Cursor, incident_ids: Sequence[UUID]) -> list[Paged]:
    """Return the interruptions for these incidents."""
    rows = await fetch_all(
        cur,
        """
        SELECT p.incident_id, COALESCE(p.team, e.team, '') AS team, p.person, p.level, min(p.created_at) AS at
        FROM oncall.page AS p JOIN oncall.escalation AS e USING (incident_id)
        WHERE p.incident_id = ANY(%(ids)s::uuid[]) AND p.voided_at IS NULL AND p.failed_at IS NULL
        GROUP BY p.incident_id, 2, p.person, p.level, p.step
        """,
        ids=list(incident_ids),
    )
    return [Paged(**{**row, "level": Level(row["level"])}) for row in rows]


async def find_counted(cur: Cursor, incident_ids: Sequence[UUID]) -> dict[UUID, Parts]:
    """Return what of these incidents is in the tally."""
    rows = await fetch_all(
        cur,
        "SELECT incident_id, parts FROM oncall.counted WHERE incident_id = ANY(%(ids)s::uuid[])",
        ids=list(incident_ids),
    )
    return {
        row["incident_id"]: {
            (Kind(kind), date.fromisoformat(day), team, name, detail): (number, at_night)
            for kind, day, team, name, detail, number, at_night in row["parts"]
        }
        for row in rows
    }


async def write_counted(cur: Cursor, counted: Mapping[UUID, Parts]) -> None:
    """Note what of these incidents is in the tally now."""
    await execute(
        cur,
        """
        INSERT INTO oncall.counted (incident_id, parts)
        SELECT incident_id, parts FROM unnest(%(ids)s::uuid[], %(parts)s::jsonb[]) AS now_counted (incident_id, parts)
        ON CONFLICT (incident_id) DO UPDATE SET parts = EXCLUDED.parts
        """,
        ids=list(counted),
        parts=[Json([[*_plain(key), *numbers] for key, numbers in parts.items()]) for parts in counted.values()],
    )
    await execute(
        cur,
        "DELETE FROM oncall.counted WHERE incident_id = ANY(%(ids)s::uuid[]) AND parts = '[]'",
        ids=list(counted),
    )


async def add_to_tally(cur: Cursor, parts: Parts) -> None:
    """Add *parts*, which may be less than nothing; a row that counts nothing any more goes."""
    kinds, days, teams, names, details = zip(*parts, strict=True)
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
        INSERT INTO oncall.tally AS t (kind, day, team, name, detail, number, at_night)
        SELECT * FROM unnest(%(kinds)s::text[], %(days)s::date[], %(teams)s::text[], %(names)s::text[],
                             %(details)s::text[], %(numbers)s::bigint[], %(nights)s::bigint[])
        ON CONFLICT (kind, day, team, name, detail)
        DO UPDATE SET number = t.number + EXCLUDED.number, at_night = t.at_night + EXCLUDED.at_night
        """,
        **keys,
        numbers=[number for number, _ in parts.values()],
        nights=[night for _, night in parts.values()],
    )
    await execute(
        cur,
        """
        DELETE FROM oncall.tally
        WHERE number = 0 AND (kind, day, team, name, detail) IN (
            SELECT * FROM unnest(%(kinds)s::text[], %(days)s::date[], %(teams)s::text[], %(names)s::text[],
                                 %(details)s::text[]))
        """,
        **keys,
    )


async def select_progress(cur: Cursor) -> Row:
    """Return how far the tally is behind.

    `as_of`: all that happened before is in it; `history_before`: earlier incidents are still being added, or null.
    """
    return required(
        await fetch_one(
            cur,
            """
            SELECT COALESCE((SELECT marked_at FROM oncall.stale ORDER BY id LIMIT 1), now()) AS as_of,
                   CASE WHEN history_from IS NOT NULL THEN COALESCE(history_before, now()) END AS history_before
            FROM oncall.rollup
            """,
        )
    )


async def select_outcomes(cur: Cursor, *, before: date, since: date, until: date, team: str | None) -> list[Row]:
    """Return how many incidents were opened, by furthest level and end, and `earlier` for those before *since*."""
    return await fetch_all(
        cur,
        """
        SELECT day < %(since)s AS earlier, name AS level, detail AS outcome, sum(number)::bigint AS incidents
        FROM oncall.tally
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
    """Return what reached whom, those first who were woken most."""
    return await fetch_all(
        cur,
        """
        SELECT name AS person, team, sum(number)::bigint AS pages, sum(at_night)::bigint AS night_pages,
               count(*) FILTER (WHERE at_night > 0) AS nights
        FROM oncall.tally
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
    """Return in how many nights anybody was paged: since *since* (`nights`), and before (`earlier`)."""
    return required(
        await fetch_one(
            cur,
            """
            SELECT count(DISTINCT day) FILTER (WHERE day >= %(since)s) AS nights,
                   count(DISTINCT day) FILTER (WHERE day < %(since)s) AS earlier
            FROM oncall.tally
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
    cur: Cursor, *, kind: Kind, since: date, until: date, team: str | None, limit: int
) -> list[Row]:
    """Return the services with most incidents; *kind* says whether days or weeks are added up."""
    return await fetch_all(
        cur,
        """
        SELECT name AS service, sum(number)::bigint AS incidents, sum(at_night)::bigint AS at_night
        FROM oncall.tally
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


def _plain(key: Iterable[object]) -> list[str]:
    return [part.isoformat() if isinstance(part, date) else str(part) for part in key]
