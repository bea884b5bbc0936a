"""`tocsin oncall`: who is on call now."""

import asyncio

from tocsin.cli.console import OUT, PROGRAM, moment, show_table, table
from tocsin.cli.gateway import DEFAULT_URL, Gateway, JSONOption, URLOption, ask
from tocsin.contracts.model import Model
from tocsin.contracts.oncall import OnCall, PersonOnCall, Schedule


class Rota(Model):
    """Who is on call, for every team."""

    teams: list[OnCall]


def oncall(*, as_json: JSONOption = False, url: URLOption = DEFAULT_URL) -> None:
    """Show who is on call now, team by team."""
    schedules, rota = ask(url, _look)
    if as_json:
        OUT.out(rota.model_dump_json(indent=2))
        return
    if not rota.teams:
        OUT.print(
            f"There is no team yet. Make one: POST a schedule to /api/v1/schedules, or start with {PROGRAM} up --demo"
        )
        return
    services = {schedule.team: ", ".join(schedule.services) for schedule in schedules}
    rows = [
        (now.team, _person(now.primary), _person(now.secondary), moment(now.until), services[now.team])
        for now in rota.teams
    ]
    show_table(table(("team", "primary", "secondary", "until", "services"), rows))


async def _look(gateway: Gateway) -> tuple[list[Schedule], Rota]:
    page = await gateway.oncall.schedules(limit=200)
    schedules = list(page.items)
    while page.next_cursor is not None:
        page = await gateway.oncall.schedules(limit=200, cursor=page.next_cursor)
        schedules += page.items
    schedules.sort(key=lambda schedule: schedule.team)
    teams = await asyncio.gather(*(gateway.oncall.current(schedule.team) for schedule in schedules))
    return schedules, Rota(teams=list(teams))


def _person(person: PersonOnCall | None) -> str | None:
    return f"{person.name} <{person.email}>" if person else None
