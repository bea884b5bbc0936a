"""Load who is on call."""

from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from aiohttp import web

from tocsin.clients import oncall
from tocsin.contracts.oncall import RotationType, Schedule, Shift
from tocsin.kernel import tasks
from tocsin.kernel.errors import NotFoundError, RejectedError
from tocsin.web.pages.oncall.schedule_chart import DAYS, midnight
from tocsin.web.pages.oncall.view import OnCallData, Schedules, monday
from tocsin.web.ui.page_loader import PageLoader

MAX_CARDS: Final = 24
"""Teams that have a card."""
LIMIT: Final = 200
DAYS_LOADED: Final = {RotationType.WEEKLY: 8, RotationType.DAILY: 2}
"""Days to load, so that the next shift is among them."""


async def load_oncall(app: web.Application, *, team: str | None, first: date | None, name: str) -> OnCallData:
    """Load who is on call, and the two weeks from *first* of *team* as a chart for the visitor *name*.

    Raise NotFoundError if there is no such team.
    """
    load = PageLoader(app)
    key = f"oncall {team} {first} {name}"
    found = await load.fetch_cached(key, oncall.PEER, _schedules(app[oncall.ONCALL], load, team, first, name))
    if team is not None and found.value is not None and found.value.charted is None:
        msg = f"There is no team {team[:64]!r}."
        raise NotFoundError(msg)
    return OnCallData(load.at, name, found, load.outages())


async def _schedules(
    client: oncall.OnCallClient, load: PageLoader, team: str | None, first: date | None, name: str
) -> Schedules:
    page = await client.schedules(budget=load.budget, limit=LIMIT)
    schedules = sorted(page.items, key=lambda item: item.team.casefold())
    cards = schedules[:MAX_CARDS]
    upcoming = await tasks.gather(*(_shifts(client, load, item, DAYS_LOADED[item.rotation_type]) for item in cards))
    shifts = {item.team: found for item, found in zip(cards, upcoming, strict=True)}
    charted = _charted(schedules, shifts, team, name)
    if charted is None:
        return Schedules(schedules, shifts, None, first or load.at.date(), [])
    zone = ZoneInfo(charted.time_zone)
    begin = first or monday(load.at, zone)
    # One day more: two weeks in which the clocks go back are an hour longer.
    turns = await _shifts(client, load, charted, DAYS + 1, since=midnight(begin, zone))
    return Schedules(schedules, shifts, charted, begin, turns)


def _charted(schedules: list[Schedule], shifts: dict[str, list[Shift]], team: str | None, name: str) -> Schedule | None:
    """Return the schedule for the chart: *team*'s, else the one that the visitor is on call for, else the first."""
    if team is not None:
        return next((item for item in schedules if item.team == team), None)
    for item in schedules:
        now = shifts.get(item.team, [])[:1]
        if name and any(person.name == name for turn in now for person in (turn.primary, turn.secondary) if person):
            return item
    return schedules[0] if schedules else None


async def _shifts(
    client: oncall.OnCallClient, load: PageLoader, schedule: Schedule, days: int, since: datetime | None = None
) -> list[Shift]:
    parameters = {"since": since.isoformat()} if since else {}
    try:
        return (await client.upcoming(schedule.team, days=days, budget=load.budget, **parameters)).items
    except RejectedError:  # the team was deleted since it was listed
        return []
