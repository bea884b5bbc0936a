"""Schedules: create, replace, read and list them."""

import dataclasses
from datetime import datetime
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog

from tocsin.contracts.audit import AuditAction
from tocsin.contracts.model import Page
from tocsin.contracts.oncall import Schedule, ScheduleIn
from tocsin.kernel import audit
from tocsin.kernel.audit_entry import Subject
from tocsin.kernel.db import Cursor, transaction
from tocsin.kernel.errors import ConflictError, InvalidRequestError, StaleError
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.idempotency import replay
from tocsin.kernel.idempotent_request import IdempotentRequest
from tocsin.kernel.ids import new_id
from tocsin.kernel.pagination import ListQuery
from tocsin.kernel.principal import Principal
from tocsin.oncall.domain.schedule import StoredSchedule, anchor_of
from tocsin.oncall.repository import schedules
from tocsin.oncall.service import Deps
from tocsin.oncall.service.authority import EVERYTHING, find_authority
from tocsin.oncall.service.views import schedule_view

log = structlog.get_logger(__name__)
CREATE: Final = Failpoint("oncall.create_schedule")
REPLACE: Final = Failpoint("oncall.replace_schedule")
AUDITED: Final = {"rotation_type", "members", "services", "time_zone", "handoff_time", "handoff_weekday", "start"}


async def create(deps: Deps, given: ScheduleIn, *, by: Principal, request: IdempotentRequest | None) -> Schedule:
    """Create a team with its schedule.

    Raise ForbiddenError; ConflictError if the team exists or another team owns a service.
    """
    schedule_id = new_id()
    async with CREATE(), transaction(deps.db) as cur:
        authority = await find_authority(cur, by, lock=True)
        authority.require_new_team()
        first = await replay(cur, request, schedule_id)
        if first is not None:
            return schedule_view(await schedules.get_schedule(cur, first), authority)
        anchor = anchor_of(given, await schedules.select_now(cur))
        if not await schedules.insert_schedule(
            cur, schedule_id=schedule_id, team_id=new_id(), given=given, anchor=anchor
        ):
            existing = await schedules.get_schedule_of(cur, given.team)
            msg = (
                f"The team {given.team!r} has a schedule already. Change it with PUT /api/v1/schedules/{existing.id}, "
                "or choose another name."
            )
            raise ConflictError(msg)
        await _assign_services(cur, given)
        stored = await schedules.get_schedule(cur, schedule_id)
        await audit.record(cur, AuditAction.SCHEDULE_CREATE, _subject(stored), after=_fields(stored))
    log.info("schedule created", team=given.team, members=len(given.members))
    deps.schedules_changed.set()
    return schedule_view(stored, authority)


async def replace(deps: Deps, schedule_id: UUID, given: ScheduleIn, *, by: Principal, version: int | None) -> Schedule:
    """Replace a team's schedule; equal values are a no-op.

    Running escalations use the new schedule from their next step on. Raise NotFoundError; ForbiddenError;
    InvalidRequestError if the team's name differs; StaleError if *version* is given and is not the current one;
    ConflictError if another team owns a service.
    """
    async with REPLACE(), transaction(deps.db) as cur:
        stored = await schedules.get_schedule(cur, schedule_id)
        authority = await find_authority(cur, by, lock=True)
        authority.require_team(stored.team)
        if given.team != stored.team:
            detail = f"A team cannot be renamed: send {stored.team!r}."
            raise InvalidRequestError([{"pointer": "#/team", "detail": detail}])
        anchor = anchor_of(given, await schedules.select_now(cur))
        if _changed(stored, given, anchor=anchor) == stored:
            return schedule_view(stored, authority)
        if not await schedules.update_schedule(
            cur, schedule_id=schedule_id, given=given, anchor=anchor, version=version
        ):
            msg = (
                f"The schedule of {stored.team} has changed since version {version}: it is at version "
                f"{stored.version}. Nothing was saved; read it again and repeat the change."
            )
            raise StaleError(msg)
        await schedules.delete_other_services(cur, team=given.team, services=given.services)
        await _assign_services(cur, given)
        before, stored = stored, await schedules.get_schedule(cur, schedule_id)
        fields = {"before": _fields(before), "after": _fields(stored)}
        await audit.record(cur, AuditAction.SCHEDULE_CHANGE, _subject(stored), **fields)
    log.info("schedule changed", team=given.team, members=len(given.members), version=stored.version)
    deps.schedules_changed.set()
    return schedule_view(stored, authority)


async def get(deps: Deps, schedule_id: UUID, by: Principal) -> Schedule:
    """Return a schedule. Raise NotFoundError."""
    async with transaction(deps.db) as cur:
        stored = await schedules.get_schedule(cur, schedule_id)
        return schedule_view(stored, await find_authority(cur, by))


async def list_page(deps: Deps, query: ListQuery, by: Principal) -> Page[Schedule]:
    """Return a page of schedules, newest first."""
    async with transaction(deps.db) as cur:
        found, cursor = await schedules.list_schedules(cur, query)
        authority = await find_authority(cur, by)
    return Page[Schedule](items=[schedule_view(stored, authority) for stored in found], next_cursor=cursor)


def _subject(stored: StoredSchedule) -> Subject:
    return Subject("schedule", stored.id, stored.team)


def _fields(stored: StoredSchedule) -> dict[str, Any]:
    """Return what the audit compares."""
    return schedule_view(stored, EVERYTHING).model_dump(mode="json", include=AUDITED)


def _changed(stored: StoredSchedule, given: ScheduleIn, *, anchor: datetime) -> StoredSchedule:
    return dataclasses.replace(
        stored,
        rotation_type=given.rotation_type,
        members=tuple(given.members),
        services=tuple(sorted(set(given.services))),
        zone=ZoneInfo(given.time_zone),
        anchor=anchor,
    )


async def _assign_services(cur: Cursor, given: ScheduleIn) -> None:
    taken = await schedules.insert_services(cur, team=given.team, services=given.services)
    if taken is not None:
        msg = (
            f"The service {taken['service']!r} belongs to the team {taken['team']!r}. "
            "Remove it from that team's schedule first."
        )
        raise ConflictError(msg)
