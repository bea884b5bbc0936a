"""Teams, their schedules and the services they own."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog

from tocsin.contracts.oncall import DRILL_TEAM, Member, RotationType, ScheduleIn
from tocsin.kernel.db import Cursor, Json, Row, execute, fetch_all, fetch_one, required
from tocsin.kernel.errors import NotFoundError
from tocsin.kernel.pagination import ListQuery, page_of
from tocsin.oncall.domain.routing import RoutingRule
from tocsin.oncall.domain.schedule import StoredSchedule

log = structlog.get_logger(__name__)
TEAMS_NAMED: Final = 10
"""The maximum number of teams that an error names."""
SELECT_SCHEDULES: Final = """
    SELECT s.id, t.name AS team, s.rotation_type, s.members, s.time_zone, s.anchor, s.created_at, s.version,
           tocsin.now() AS read_at,
           ARRAY(SELECT o.name FROM oncall.service AS o WHERE o.team_id = s.team_id ORDER BY o.name) AS services
    FROM oncall.schedule AS s JOIN oncall.team AS t ON t.id = s.team_id
    WHERE (%(schedule_id)s::uuid IS NULL OR s.id = %(schedule_id)s)
      AND (%(teams)s::text[] IS NULL OR t.name = ANY(%(teams)s))
      AND (%(after_at)s::timestamptz IS NULL OR (s.created_at, s.id) < (%(after_at)s, %(after_id)s))
    ORDER BY s.created_at DESC, s.id DESC
    LIMIT %(fetch)s
"""
NO_FILTER: Final = {"schedule_id": None, "teams": None, "after_at": None, "after_id": None, "fetch": None}


async def select_now(cur: Cursor) -> datetime:
    """Return the time at which the transaction began."""
    at: datetime = required(await fetch_one(cur, "SELECT tocsin.now() AS at"))["at"]
    return at


async def insert_schedule(
    cur: Cursor, *, schedule_id: UUID, team_id: UUID, given: ScheduleIn, anchor: datetime
) -> bool:
    """Insert a team with its schedule. Return False if the team exists."""
    inserted = await execute(
        cur,
        """
        WITH created AS (
            INSERT INTO oncall.team (id, name) VALUES (%(team_id)s, %(team)s)
            ON CONFLICT (name) DO NOTHING
            RETURNING id)
        INSERT INTO oncall.schedule (id, team_id, rotation_type, members, time_zone, anchor)
        SELECT %(id)s, id, %(rotation_type)s, %(members)s, %(time_zone)s, %(anchor)s FROM created
        """,
        id=schedule_id,
        team_id=team_id,
        team=given.team,
        rotation_type=given.rotation_type,
        members=Json([member.model_dump(mode="json") for member in given.members]),
        time_zone=given.time_zone,
        anchor=anchor,
    )
    return inserted > 0


async def update_schedule(
    cur: Cursor, *, schedule_id: UUID, given: ScheduleIn, anchor: datetime, version: int | None
) -> bool:
    """Replace the rotation of a schedule. Return False if *version* is given and is not the current one."""
    updated = await execute(
        cur,
        """
        UPDATE oncall.schedule
        SET rotation_type = %(rotation_type)s, members = %(members)s, time_zone = %(time_zone)s, anchor = %(anchor)s,
            version = version + 1
        WHERE id = %(id)s AND (%(version)s::integer IS NULL OR version = %(version)s)
        """,
        id=schedule_id,
        rotation_type=given.rotation_type,
        members=Json([member.model_dump(mode="json") for member in given.members]),
        time_zone=given.time_zone,
        anchor=anchor,
        version=version,
    )
    return updated > 0


async def delete_other_services(cur: Cursor, *, team: str, services: Collection[str]) -> None:
    """Remove from the team the services that are not in *services*."""
    await execute(
        cur,
        """
        DELETE FROM oncall.service
        WHERE team_id = (SELECT id FROM oncall.team WHERE name = %(team)s) AND name <> ALL(%(services)s::text[])
        """,
        team=team,
        services=list(services),
    )


async def insert_services(cur: Cursor, *, team: str, services: Collection[str]) -> Row | None:
    """Add *services* to the team. Return the first one that another team owns (`service`, `team`), if any."""
    await execute(
        cur,
        """
        INSERT INTO oncall.service (name, team_id)
        SELECT service, t.id FROM unnest(%(services)s::text[]) AS service, oncall.team AS t WHERE t.name = %(team)s
        ON CONFLICT (name) DO NOTHING
        """,
        team=team,
        services=sorted(set(services)),  # one lock order for all transactions, so that they cannot deadlock
    )
    return await fetch_one(
        cur,
        """
        SELECT s.name AS service, t.name AS team FROM oncall.service AS s JOIN oncall.team AS t ON t.id = s.team_id
        WHERE s.name = ANY(%(services)s::text[]) AND t.name <> %(team)s
        ORDER BY s.name LIMIT 1
        """,
        team=team,
        services=list(services),
    )


async def get_schedule(cur: Cursor, schedule_id: UUID) -> StoredSchedule:
    """Return a schedule by its id. Raise NotFoundError."""
    row = await fetch_one(cur, SELECT_SCHEDULES, **{**NO_FILTER, "schedule_id": schedule_id})
    return _schedule(required(row, f"There is no schedule {schedule_id}. GET /api/v1/schedules lists the schedules."))


async def get_schedule_of(cur: Cursor, team: str) -> StoredSchedule:
    """Return the schedule of *team*. Raise NotFoundError, which names the teams that exist."""
    row = await fetch_one(cur, SELECT_SCHEDULES, **{**NO_FILTER, "teams": [team]})
    if row is None:
        raise NotFoundError(await _unknown_team(cur, team))
    return _schedule(row)


async def _unknown_team(cur: Cursor, team: str) -> str:
    rows = await fetch_all(cur, "SELECT name FROM oncall.team ORDER BY name LIMIT %(limit)s", limit=TEAMS_NAMED + 1)
    if not rows:
        return f"There is no team {team!r}, because no team exists yet: create one with POST /api/v1/schedules."
    names = ", ".join(row["name"] for row in rows[:TEAMS_NAMED])
    more = ", …" if len(rows) > TEAMS_NAMED else ""
    return f"There is no team {team!r}. Use one of: {names}{more}, or create it with POST /api/v1/schedules."


async def list_schedules(cur: Cursor, query: ListQuery) -> tuple[list[StoredSchedule], str | None]:
    """Return a page of schedules, newest first, and the cursor of the next page."""
    rows = await fetch_all(cur, SELECT_SCHEDULES, **{**NO_FILTER, **query.after()})
    return page_of(rows, query.limit, _schedule)


async def find_parsable(cur: Cursor, teams: Sequence[str] | None = None) -> dict[str, StoredSchedule]:
    """Return the schedules of *teams* (default: all) by team name, without the ones that cannot be parsed.

    An unreadable schedule must not stop the paging of other teams; its own incidents page the catch-all.
    """
    return _parsable(await _select_schedules(cur, teams))


async def find_parsable_now(cur: Cursor, teams: Sequence[str]) -> tuple[datetime, dict[str, StoredSchedule]]:
    """Return the time at which the transaction began, and what `find_parsable` returns."""
    rows = await _select_schedules(cur, teams)
    return rows[0]["read_at"] if rows else await select_now(cur), _parsable(rows)


async def _select_schedules(cur: Cursor, teams: Sequence[str] | None) -> list[Row]:
    return await fetch_all(cur, SELECT_SCHEDULES, **{**NO_FILTER, "teams": None if teams is None else list(teams)})


def _parsable(rows: Sequence[Row]) -> dict[str, StoredSchedule]:
    found: dict[str, StoredSchedule] = {}
    for row in rows:
        try:
            found[row["team"]] = _schedule(row)
        except (ValueError, KeyError):  # written by a newer version, or in a zone that tzdata has dropped
            log.exception("stored schedule cannot be parsed", team=row["team"])
    return found


async def find_team(cur: Cursor, *, service: str, default_team: str) -> tuple[str, RoutingRule | None]:
    """Return the team of an incident of *service* and the rule that matched; *default_team* and None without teams."""
    row = await fetch_one(
        cur,
        """
        SELECT team, rule FROM (
            SELECT name AS team, 'name' AS rule, 1 AS rank FROM oncall.team WHERE name = %(service)s
            UNION ALL
            SELECT t.name, 'service', 2 FROM oncall.service AS s JOIN oncall.team AS t ON t.id = s.team_id
            WHERE s.name = %(service)s
            UNION ALL
            SELECT name, 'default', 3 FROM oncall.team WHERE name = %(default_team)s
            UNION ALL
            (SELECT name, 'oldest', 4 FROM oncall.team WHERE name <> %(drill)s ORDER BY created_at, id LIMIT 1)
        ) AS candidate
        ORDER BY rank LIMIT 1
        """,
        service=service,
        default_team=default_team,
        drill=DRILL_TEAM,
    )
    return (default_team, None) if row is None else (row["team"], RoutingRule(row["rule"]))


def _schedule(row: Row) -> StoredSchedule:
    return StoredSchedule(
        id=row["id"],
        team=row["team"],
        rotation_type=RotationType(row["rotation_type"]),
        members=tuple(Member.model_validate(member) for member in row["members"]),
        services=tuple(row["services"]),
        zone=ZoneInfo(row["time_zone"]),
        anchor=row["anchor"],
        created_at=row["created_at"],
        version=row["version"],
    )
