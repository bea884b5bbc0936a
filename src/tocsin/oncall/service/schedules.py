"""Schedules: make one, look at them, and ask who is on call."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from aiohttp import web

from tocsin.contracts.model import Page
from tocsin.contracts.oncall import OnCall, Schedule, ScheduleIn, Upcoming
from tocsin.kernel.db import Database, transaction
from tocsin.kernel.errors import ConflictError
from tocsin.kernel.faults import FaultPoint
from tocsin.kernel.ids import new_id
from tocsin.kernel.paging import ListQuery
from tocsin.kernel.workers import Wakeup
from tocsin.oncall.domain import anchor_of
from tocsin.oncall.repository import schedules
from tocsin.oncall.service.once import answered_before
from tocsin.oncall.service.views import person_view, schedule_view, shift_view

SCHEDULES_CHANGED = web.AppKey("SCHEDULES_CHANGED", Wakeup)
"""Set when a schedule was made."""
log = structlog.get_logger(__name__)
CREATED: Final = FaultPoint("oncall.create_schedule")


async def create(db: Database, given: ScheduleIn, *, key: str | None, now: datetime | None = None) -> Schedule:
    """Make a team and its rotation. Raise ConflictError where the team, or another owner of a service, exists."""
    schedule_id = new_id()
    async with CREATED(), transaction(db) as cur:
        first = await answered_before(cur, key=key, path="/api/v1/schedules", asked=given, resource_id=schedule_id)
        if first is not None:
            return schedule_view(await schedules.get_schedule(cur, first))
        anchor = anchor_of(given, await schedules.clock(cur, now))
        if not await schedules.insert_schedule(cur, schedule_id=schedule_id, given=given, anchor=anchor, now=now):
            msg = f"The team {given.team!r} has a schedule already."
            raise ConflictError(msg)
        taken = await schedules.insert_services(cur, schedule_id=schedule_id, services=given.services)
        if taken is not None:
            msg = f"The service {taken['service']!r} belongs to the team {taken['team']!r}."
            raise ConflictError(msg)
        stored = await schedules.get_schedule(cur, schedule_id)
    log.info("schedule created", team=given.team, members=len(given.members))
    return schedule_view(stored)


async def get(db: Database, schedule_id: UUID) -> Schedule:
    """Return one schedule. Raise NotFoundError."""
    async with transaction(db) as cur:
        return schedule_view(await schedules.get_schedule(cur, schedule_id))


async def list_page(db: Database, query: ListQuery) -> Page[Schedule]:
    """Return a page of schedules, newest first."""
    async with transaction(db) as cur:
        found, cursor = await schedules.list_schedules(cur, query)
    return Page[Schedule](items=[schedule_view(stored) for stored in found], next_cursor=cursor)


async def current(db: Database, team: str, *, at: datetime | None) -> OnCall:
    """Say who is on call, now or *at* another instant. Raise NotFoundError naming the team."""
    async with transaction(db) as cur:
        stored = await schedules.get_schedule_of(cur, team)
        asked = await schedules.clock(cur, at)
    turn = stored.turn_at(asked)
    return OnCall(
        team=stored.team,
        primary=person_view(turn.primary),
        secondary=person_view(turn.secondary),
        at=asked,
        until=turn.ends_at,
    )


async def upcoming(db: Database, team: str, *, days: int, now: datetime | None = None) -> Upcoming:
    """Return the turns of the coming *days*, whole, the present one first. Raise NotFoundError naming the team."""
    async with transaction(db) as cur:
        stored = await schedules.get_schedule_of(cur, team)
        since = await schedules.clock(cur, now)
    turns = stored.turns(since, since + timedelta(days=days))
    return Upcoming(team=stored.team, items=[shift_view(stored.team, turn) for turn in turns])


async def everybody_on_call(db: Database, *, now: datetime | None = None) -> dict[str, str]:
    """Return who is paged first in each team where somebody is."""
    async with transaction(db) as cur:
        found = await schedules.find_readable(cur)
        at = await schedules.clock(cur, now)
    turns = {team: stored.turn_at(at) for team, stored in found.items()}
    return {team: first.name for team, turn in turns.items() if (first := turn.primary or turn.secondary)}
