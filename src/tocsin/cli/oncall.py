"""`tocsin oncall`: who is on call now."""

import asyncio
from contextlib import suppress

from tocsin.cli.console import OUT, PROGRAM, CommandError, escape_control, local_time, print_json, print_table, table
from tocsin.cli.gateway import DEFAULT_URL, Gateway, JSONOption, URLOption, call, check_url
from tocsin.contracts.model import Model
from tocsin.contracts.oncall import OnCall, PersonOnCall, Schedule
from tocsin.kernel.errors import UpstreamError

NEW_SCHEDULE = "/oncall/new"
"""The page that creates a schedule."""


class CurrentOnCall(Model):
    """Who is on call, for every team."""

    teams: list[OnCall]


def oncall(*, as_json: JSONOption = False, url: URLOption = DEFAULT_URL) -> None:
    """Show who is on call now, team by team."""
    schedules, current = call(url, _current)
    if as_json:
        print_json(current)
        return
    if not current.teams:
        OUT.print(f"There is no team yet. {_how_to_create(url)}", markup=False)
        return
    services = {schedule.team: ", ".join(schedule.services) for schedule in schedules}
    rows = [
        (now.team, _person(now.primary), _person(now.secondary), local_time(now.until), services[now.team])
        for now in current.teams
    ]
    print_table(table(("team", "primary", "secondary", "until", "services"), rows))


async def check_team(gateway: Gateway, team: str) -> None:
    """Raise CommandError, with the names of all teams, if *team* does not exist."""
    with suppress(UpstreamError):  # oncall-service is unavailable: the team cannot be checked
        teams = [schedule.team for schedule in await _schedules(gateway)]
        if team not in teams:
            known = f"Teams: {escape_control(', '.join(teams))}" if teams else _how_to_create(gateway.url)
            msg = f"there is no team {team!r}"
            raise CommandError(msg, known)


def _how_to_create(url: str) -> str:
    return f"Create a schedule: {check_url(url)}{NEW_SCHEDULE} - or start with demo data: {PROGRAM} up --demo"


async def _current(gateway: Gateway) -> tuple[list[Schedule], CurrentOnCall]:
    schedules = await _schedules(gateway)
    teams = await asyncio.gather(*(gateway.oncall.current(schedule.team) for schedule in schedules))
    return schedules, CurrentOnCall(teams=list(teams))


async def _schedules(gateway: Gateway) -> list[Schedule]:
    """Return every schedule, by team."""
    page = await gateway.oncall.schedules(limit=200)
    schedules = list(page.items)
    while page.next_cursor is not None:
        page = await gateway.oncall.schedules(limit=200, cursor=page.next_cursor)
        schedules += page.items
    return sorted(schedules, key=lambda schedule: schedule.team)


def _person(person: PersonOnCall | None) -> str | None:
    return f"{person.name} <{person.email}>" if person else None
