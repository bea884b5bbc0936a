"""Who is on call: now, at another instant, and in the coming shifts."""

from datetime import datetime, timedelta

from tocsin.contracts.oncall import OnCall, Upcoming
from tocsin.kernel.db import autocommit
from tocsin.oncall.domain.schedule import StoredSchedule
from tocsin.oncall.repository import schedules
from tocsin.oncall.service import Deps
from tocsin.oncall.service.views import person_view, shift_view


async def get_current(deps: Deps, team: str, *, at: datetime | None) -> OnCall:
    """Return who is on call *at* an instant, by default now. Raise NotFoundError for an unknown team."""
    async with autocommit(deps.db) as cur:
        stored = await schedules.get_schedule_of(cur, team)
        instant = at or await schedules.select_now(cur)
    return on_call_view(stored, instant)


def on_call_view(stored: StoredSchedule, at: datetime) -> OnCall:
    """Return who is on call *at* an instant, for the API."""
    shift = stored.shift_at(at)
    return OnCall(
        team=stored.team,
        primary=person_view(shift.primary),
        secondary=person_view(shift.secondary),
        at=at,
        until=shift.ends_at,
        time_zone=stored.zone.key,
    )


async def list_upcoming(deps: Deps, team: str, *, days: int, since: datetime | None) -> Upcoming:
    """Return the shifts of *days* from *since* on, by default from now on. Raise NotFoundError for an unknown team."""
    async with autocommit(deps.db) as cur:
        stored = await schedules.get_schedule_of(cur, team)
        begin = since or await schedules.select_now(cur)
    shifts = stored.shifts(begin, begin + timedelta(days=days))
    return Upcoming(
        team=stored.team, time_zone=stored.zone.key, items=[shift_view(stored.team, shift) for shift in shifts]
    )


async def find_first_on_call(deps: Deps) -> dict[str, str]:
    """Return the name of the person who is paged first, by team; a team with nobody on call is left out."""
    async with autocommit(deps.db) as cur:
        found = await schedules.find_parsable(cur)
        at = await schedules.select_now(cur)
    shifts = {team: stored.shift_at(at) for team, stored in found.items()}
    return {team: first.name for team, shift in shifts.items() if (first := shift.primary or shift.secondary)}
