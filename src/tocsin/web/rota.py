"""What the page of who is on call asks oncall-service."""

import asyncio
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from aiohttp import web

from tocsin.clients import oncall
from tocsin.contracts.oncall import RotationType, Schedule, Shift
from tocsin.kernel.errors import NotFoundError, RejectedError
from tocsin.web.rounds import MEMORY, Round
from tocsin.web.service import SETTINGS
from tocsin.web.views.picture import DAYS, midnight
from tocsin.web.views.rota import Asked, Rota, monday, rota_of

CARDS: Final = 24
"""How many teams have a card."""
READ: Final = 200
AHEAD: Final = {RotationType.WEEKLY: 8, RotationType.DAILY: 2}
"""Days from now in which the next turn begins."""


async def see_rota(app: web.Application, *, team: str | None, first: date | None, name: str) -> Rota:
    """Ask for all that the page shows to *name*: *team*'s two weeks from *first* on. Raise NotFoundError."""
    round_ = Round(app[MEMORY], app[SETTINGS].part_seconds)
    key = f"rota {team} {first} {name}"
    asked = await round_.recall(key, oncall.PEER, _ask(app[oncall.ONCALL], round_, team, first, name))
    if team is not None and asked.value is not None and asked.value.drawn is None:
        msg = f"There is no team {team[:64]!r}."
        raise NotFoundError(msg)
    return rota_of(asked, name, round_.close(), round_.at)


async def _ask(client: oncall.OnCallClient, round_: Round, team: str | None, first: date | None, name: str) -> Asked:
    page = await client.schedules(budget=round_.budget, limit=READ)
    schedules = sorted(page.items, key=lambda item: item.team.casefold())
    shown = schedules[:CARDS]
    answers = await asyncio.gather(*(_shifts(client, round_, item, AHEAD[item.rotation_type]) for item in shown))
    shifts = {item.team: found for item, found in zip(shown, answers, strict=True)}
    drawn = _chosen(schedules, shifts, team, name)
    if drawn is None:
        return Asked(schedules, shifts, None, first or round_.at.date(), [])
    zone = ZoneInfo(drawn.time_zone)
    begin = first or monday(round_.at, zone)
    # A day more: two weeks in which the clocks go back are an hour longer.
    turns = await _shifts(client, round_, drawn, DAYS + 1, since=midnight(begin, zone))
    return Asked(schedules, shifts, drawn, begin, turns)


def _chosen(schedules: list[Schedule], shifts: dict[str, list[Shift]], team: str | None, name: str) -> Schedule | None:
    """Return the schedule to draw: *team*'s, else that of whom the visitor is on call for, else the first."""
    if team is not None:
        return next((item for item in schedules if item.team == team), None)
    for item in schedules:
        now = shifts.get(item.team, [])[:1]
        if name and any(person.name == name for turn in now for person in (turn.primary, turn.secondary) if person):
            return item
    return schedules[0] if schedules else None


async def _shifts(
    client: oncall.OnCallClient, round_: Round, schedule: Schedule, days: int, since: datetime | None = None
) -> list[Shift]:
    asked = {"since": since.isoformat()} if since else {}
    try:
        return (await client.upcoming(schedule.team, days=days, budget=round_.budget, **asked)).items
    except RejectedError:  # the team has gone since it was listed
        return []
