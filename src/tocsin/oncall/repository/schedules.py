"""Teams, their rotations and the services they own."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog

from tocsin.contracts.oncall import DRILL_TEAM, Member, RotationType, ScheduleIn
from tocsin.kernel.db import Cursor, Json, Row, execute, fetch_all, fetch_one, required
from tocsin.kernel.pagination import ListQuery, page_of
from tocsin.oncall.domain import StoredSchedule, TeamRule

log = structlog.get_logger(__name__)
SELECT_SCHEDULES: Final = """
    SELECT s.id, s.team, s.rotation_type, s.members, s.time_zone, s.anchor, s.created_at, s.version,
           ARRAY(SELECT t.service FROM oncall.team_service AS t WHERE t.schedule_id = s.id ORDER BY t.service)
               AS services
    FROM oncall.schedule AS s
    WHERE (%(schedule_id)s::uuid IS NULL OR s.id = %(schedule_id)s)
      AND (%(teams)s::text[] IS NULL OR s.team = ANY(%(teams)s))
      AND (%(after_at)s::timestamptz IS NULL OR (s.created_at, s.id) < (%(after_at)s, %(after_id)s))
    ORDER BY s.created_at DESC, s.id DESC
    LIMIT %(fetch)s
"""
EVERY: Final = {"schedule_id": None, "teams": None, "after_at": None, "after_id": None, "fetch": None}


async def clock(cur: Cursor, now: datetime | None) -> datetime:
    """Return *now*, or the database's clock at the beginning of the transaction."""
    at: datetime = required(await fetch_one(cur, "SELECT COALESCE(%(now)s, now()) AS at", now=now))["at"]
    return at


async def insert_schedule(
    cur: Cursor, *, schedule_id: UUID, given: ScheduleIn, anchor: datetime, now: datetime | None
) -> bool:
    """Insert a team's schedule; False where the team has one."""
    inserted = await execute(
        cur,
        """
        INSERT INTO oncall.schedule (id, team, rotation_type, members, time_zone, anchor, created_at)
        VALUES (%(id)s, %(team)s, %(rotation_type)s, %(members)s, %(time_zone)s, %(anchor)s, COALESCE(%(now)s, now()))
        ON CONFLICT (team) DO NOTHING
        """,
        id=schedule_id,
        team=given.team,
        rotation_type=given.rotation_type,
        members=Json([member.model_dump(mode="json") for member in given.members]),
        time_zone=given.time_zone,
        anchor=anchor,
        now=now,
    )
    return inserted > 0


async def update_schedule(
    cur: Cursor, *, schedule_id: UUID, given: ScheduleIn, anchor: datetime, version: int | None
) -> bool:
    """Put *given* in the place of what a team has, the team's name aside; False where it is not at *version*."""
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


async def delete_other_services(cur: Cursor, *, schedule_id: UUID, services: Collection[str]) -> None:
    """Take away from the team what it owns beside *services*."""
    await execute(
        cur,
        "DELETE FROM oncall.team_service WHERE schedule_id = %(schedule_id)s AND service <> ALL(%(services)s::text[])",
        schedule_id=schedule_id,
        services=list(services),
    )


async def insert_services(cur: Cursor, *, schedule_id: UUID, services: Collection[str]) -> Row | None:
    """Make the team own *services*; return the first that another team owns (`service`, `team`), if there is one."""
    await execute(
        cur,
        """
        INSERT INTO oncall.team_service (service, schedule_id)
        SELECT service, %(schedule_id)s FROM unnest(%(services)s::text[]) AS service
        ON CONFLICT (service) DO NOTHING
        """,
        schedule_id=schedule_id,
        services=sorted(set(services)),  # in one order, so that two teams cannot wait for each other
    )
    return await fetch_one(
        cur,
        """
        SELECT t.service, s.team FROM oncall.team_service AS t JOIN oncall.schedule AS s ON s.id = t.schedule_id
        WHERE t.service = ANY(%(services)s::text[]) AND t.schedule_id <> %(schedule_id)s
        ORDER BY t.service LIMIT 1
        """,
        schedule_id=schedule_id,
        services=list(services),
    )


async def get_schedule(cur: Cursor, schedule_id: UUID) -> StoredSchedule:
    """Return a schedule by its id. Raise NotFoundError."""
    row = await fetch_one(cur, SELECT_SCHEDULES, **{**EVERY, "schedule_id": schedule_id})
    return _schedule(required(row, f"There is no schedule {schedule_id}."))


async def get_schedule_of(cur: Cursor, team: str) -> StoredSchedule:
    """Return a team's schedule. Raise NotFoundError naming the team."""
    row = await fetch_one(cur, SELECT_SCHEDULES, **{**EVERY, "teams": [team]})
    return _schedule(required(row, f"There is no team {team!r}."))


async def list_schedules(cur: Cursor, query: ListQuery) -> tuple[list[StoredSchedule], str | None]:
    """Return a page of schedules, newest first, and the cursor of the next one."""
    rows = await fetch_all(cur, SELECT_SCHEDULES, **{**EVERY, **query.after()})
    return page_of(rows, query.limit, _schedule)


async def find_readable(cur: Cursor, teams: Sequence[str] | None = None) -> dict[str, StoredSchedule]:
    """Return the schedules of *teams* (of all, by default) by team, without those that cannot be read.

    One that cannot be read must not keep other teams from being paged; its own incidents page the catch-all.
    """
    found: dict[str, StoredSchedule] = {}
    for row in await fetch_all(cur, SELECT_SCHEDULES, **{**EVERY, "teams": None if teams is None else list(teams)}):
        try:
            found[row["team"]] = _schedule(row)
        except (ValueError, KeyError):  # members of a later version, a zone that the time zone database dropped
            log.exception("schedule cannot be read", team=row["team"])
    return found


async def find_team(cur: Cursor, *, service: str, default_team: str) -> tuple[str, TeamRule | None]:
    """Return whose an incident of *service* is, and by which rule; the default team's name where there is no team."""
    row = await fetch_one(
        cur,
        """
        SELECT team, rule FROM (
            SELECT team, 'name' AS rule, 1 AS rank FROM oncall.schedule WHERE team = %(service)s
            UNION ALL
            SELECT s.team, 'service', 2 FROM oncall.team_service AS t JOIN oncall.schedule AS s ON s.id = t.schedule_id
            WHERE t.service = %(service)s
            UNION ALL
            SELECT team, 'default', 3 FROM oncall.schedule WHERE team = %(default_team)s
            UNION ALL
            (SELECT team, 'oldest', 4 FROM oncall.schedule WHERE team <> %(drill)s ORDER BY created_at, id LIMIT 1)
        ) AS candidate
        ORDER BY rank LIMIT 1
        """,
        service=service,
        default_team=default_team,
        drill=DRILL_TEAM,
    )
    return (default_team, None) if row is None else (row["team"], TeamRule(row["rule"]))


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
