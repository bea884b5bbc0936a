"""Schedules: make one, change it, look at them, and ask who is on call."""

import dataclasses
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog
from aiohttp import web

from tocsin.contracts.model import Page
from tocsin.contracts.oncall import OnCall, Schedule, ScheduleIn, Upcoming
from tocsin.kernel.db import Cursor, Database, transaction
from tocsin.kernel.errors import ConflictError, InvalidRequestError, StaleError
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.idempotency import IdempotentRequest, replay
from tocsin.kernel.ids import new_id
from tocsin.kernel.pagination import ListQuery
from tocsin.kernel.workers import Wakeup
from tocsin.oncall.domain import anchor_of
from tocsin.oncall.repository import schedules
from tocsin.oncall.service.views import person_view, schedule_view, shift_view

SCHEDULES_CHANGED = web.AppKey("SCHEDULES_CHANGED", Wakeup)
"""Set when a schedule was made or changed."""
log = structlog.get_logger(__name__)
CREATED: Final = Failpoint("oncall.create_schedule")
REPLACED: Final = Failpoint("oncall.replace_schedule")


async def create(
    db: Database, given: ScheduleIn, *, request: IdempotentRequest | None, now: datetime | None = None
) -> Schedule:
    """Make a team and its rotation. Raise ConflictError where the team, or another owner of a service, exists."""
    schedule_id = new_id()
    async with CREATED(), transaction(db) as cur:
        first = await replay(cur, request, schedule_id)
        if first is not None:
            return schedule_view(await schedules.get_schedule(cur, first))
        anchor = anchor_of(given, await schedules.clock(cur, now))
        if not await schedules.insert_schedule(cur, schedule_id=schedule_id, given=given, anchor=anchor, now=now):
            msg = f"The team {given.team!r} has a schedule already."
            raise ConflictError(msg)
        await _own(cur, schedule_id, given)
        stored = await schedules.get_schedule(cur, schedule_id)
    log.info("schedule created", team=given.team, members=len(given.members))
    return schedule_view(stored)


async def replace(
    db: Database, schedule_id: UUID, given: ScheduleIn, *, version: int | None, now: datetime | None = None
) -> Schedule:
    """Put *given* in the place of a team's schedule; what is so already is no change.

    Escalations under way go on by the new one from their next step. Raise NotFoundError; InvalidRequestError for
    another team's name; StaleError where *version* is given and not the present one; ConflictError where another team
    owns a service.
    """
    async with REPLACED(), transaction(db) as cur:
        stored = await schedules.get_schedule(cur, schedule_id)
        if given.team != stored.team:
            detail = f"The team keeps its name, {stored.team!r}: incidents and pages speak of it."
            raise InvalidRequestError([{"pointer": "#/team", "detail": detail}])
        anchor = anchor_of(given, await schedules.clock(cur, now))
        wanted = dataclasses.replace(
            stored,
            rotation_type=given.rotation_type,
            members=tuple(given.members),
            services=tuple(sorted(set(given.services))),
            zone=ZoneInfo(given.time_zone),
            anchor=anchor,
        )
        if wanted == stored:
            return schedule_view(stored)
        if not await schedules.update_schedule(
            cur, schedule_id=schedule_id, given=given, anchor=anchor, version=version
        ):
            msg = f"The schedule of {stored.team} has changed since you looked at it. Nothing was changed now."
            raise StaleError(msg)
        await schedules.delete_other_services(cur, schedule_id=schedule_id, services=given.services)
        await _own(cur, schedule_id, given)
        stored = await schedules.get_schedule(cur, schedule_id)
    log.info("schedule changed", team=given.team, members=len(given.members), version=stored.version)
    return schedule_view(stored)


async def _own(cur: Cursor, schedule_id: UUID, given: ScheduleIn) -> None:
    taken = await schedules.insert_services(cur, schedule_id=schedule_id, services=given.services)
    if taken is not None:
        msg = f"The service {taken['service']!r} belongs to the team {taken['team']!r}."
        raise ConflictError(msg)


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


async def upcoming(db: Database, team: str, *, days: int, since: datetime | None = None) -> Upcoming:
    """Return the whole turns of *days* from now or *since*, in order. Raise NotFoundError naming the team."""
    async with transaction(db) as cur:
        stored = await schedules.get_schedule_of(cur, team)
        begin = await schedules.clock(cur, since)
    turns = stored.turns(begin, begin + timedelta(days=days))
    return Upcoming(team=stored.team, items=[shift_view(stored.team, turn) for turn in turns])


async def everybody_on_call(db: Database, *, now: datetime | None = None) -> dict[str, str]:
    """Return who is paged first in each team where somebody is."""
    async with transaction(db) as cur:
        found = await schedules.find_readable(cur)
        at = await schedules.clock(cur, now)
    turns = {team: stored.turn_at(at) for team, stored in found.items()}
    return {team: first.name for team, turn in turns.items() if (first := turn.primary or turn.secondary)}
