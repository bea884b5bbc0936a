"""`tocsin incidents`: list, show, acknowledge and resolve incidents."""

import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Final
from uuid import UUID

import typer
from pydantic import ValidationError
from rich.table import Table
from rich.text import Text

from tocsin.cli.console import (
    OUT,
    PROGRAM,
    Cell,
    CommandError,
    duration,
    escape_control,
    indent_lines,
    local_time,
    print_json,
    print_table,
    table,
)
from tocsin.cli.gateway import DEFAULT_URL, Gateway, JSONOption, URLOption, call, usage_error
from tocsin.cli.identity import chosen_name
from tocsin.cli.oncall import check_team
from tocsin.contracts.incidents import ChangeIncident, Incident, IncidentStatus, IncidentSummary
from tocsin.contracts.model import Page, Severity
from tocsin.kernel import clock
from tocsin.kernel.ids import new_id

app = typer.Typer(no_args_is_help=True, help="List, show, acknowledge and resolve incidents.")

SEVERITY_STYLES: Final = {
    Severity.CRITICAL: "bold red",
    Severity.HIGH: "red",
    Severity.MEDIUM: "yellow",
    Severity.LOW: "blue",
}
STATUS_STYLES: Final = {
    IncidentStatus.OPEN: "bold red",
    IncidentStatus.ACKNOWLEDGED: "yellow",
    IncidentStatus.IN_PROGRESS: "cyan",
    IncidentStatus.RESOLVED: "green",
}

IncidentArgument = Annotated[
    str, typer.Argument(metavar="NUMBER", help="The incident's number, such as 12 or '#12', or its id.")
]
NoteOption = Annotated[str | None, typer.Option(help="Add this note.")]
ActorOption = Annotated[
    str | None,
    typer.Option(
        envvar="TOCSIN_ACTOR", help="Who makes the change.", show_default="the name that you chose, else your user name"
    ),
]


@app.command("list")
def list_incidents(
    *,
    status: Annotated[IncidentStatus | None, typer.Option(help="Only those with this status.")] = None,
    severity: Annotated[
        Severity | None, typer.Option(case_sensitive=False, help="Only those of this severity.")
    ] = None,
    service: Annotated[str | None, typer.Option(help="Only those of this service.")] = None,
    team: Annotated[str | None, typer.Option(help="Only those of this team.")] = None,
    search: Annotated[str | None, typer.Option(help="Only those that contain these words.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="Maximum number of incidents.")] = 50,
    as_json: JSONOption = False,
    url: URLOption = DEFAULT_URL,
) -> None:
    """List incidents, newest first."""

    async def query(gateway: Gateway) -> Page[IncidentSummary]:
        page = await gateway.incidents.list(
            status=status, severity=severity, service=service, team=team, q=search, limit=limit
        )
        if team is not None and not page.items:
            await check_team(gateway, team)
        return page

    page = call(url, query)
    if as_json:
        print_json(page)
    elif page.items:
        print_table(_table(page.items))
    else:
        OUT.print("No incident matches.")


@app.command()
def show(*, incident: IncidentArgument, as_json: JSONOption = False, url: URLOption = DEFAULT_URL) -> None:
    """Show one incident with its timeline."""
    reference = _reference(incident)
    found = call(url, lambda gateway: gateway.incidents.find(reference))
    if as_json:
        print_json(found)
    else:
        _print(found)


def _add_status_command(name: str, status: IncidentStatus, summary: str) -> None:
    """Add the command *name*, which moves an incident to *status*."""

    def change(
        *,
        incident: IncidentArgument,
        actor: ActorOption = None,
        note: NoteOption = None,
        as_json: JSONOption = False,
        url: URLOption = DEFAULT_URL,
    ) -> None:
        changed = call(url, _change(incident, status, actor or chosen_name(url), note))
        if as_json:
            print_json(changed)
        else:
            _print_status(changed)

    app.command(name, help=summary)(change)


_add_status_command("ack", IncidentStatus.ACKNOWLEDGED, "Acknowledge an incident: paging for it stops.")
_add_status_command("resolve", IncidentStatus.RESOLVED, "Resolve an incident.")


def _change(
    incident: str, status: IncidentStatus, actor: str, note: str | None
) -> Callable[[Gateway], Awaitable[Incident]]:
    reference = _reference(incident)
    given = {"status": status, "actor": actor, "notes": note}
    try:
        change = ChangeIncident.model_validate({name: value for name, value in given.items() if value is not None})
    except ValidationError as exc:
        raise usage_error(exc) from exc
    return lambda gateway: gateway.incidents.change(reference, change, idempotency_key=str(new_id()))


def _reference(incident: str) -> str:
    """Return the number or id as the API accepts it; raise CommandError for anything else."""
    number = incident.removeprefix("#")
    if number.isascii() and number.isdigit():
        return number
    try:
        return str(UUID(incident))
    except ValueError as exc:
        msg = f"{incident!r} is neither an incident's number, such as 12, nor its id"
        raise CommandError(
            msg, f"To list incidents with their numbers: {PROGRAM} incidents list", status=os.EX_USAGE
        ) from exc


def _print_status(incident: Incident) -> None:
    times = (("acknowledged after", incident.mtta_seconds), ("resolved after", incident.mttr_seconds))
    durations = ", ".join(f"{name} {duration(seconds)}" for name, seconds in times if seconds is not None)
    OUT.print(escape_control(f"#{incident.number} {incident.title}: {incident.status} ({durations})"), markup=False)


def _table(incidents: Sequence[IncidentSummary]) -> Table:
    now = clock.now()
    rows = [
        (
            str(item.number),
            Text(item.severity, SEVERITY_STYLES[item.severity]),
            Text(item.status, STATUS_STYLES[item.status]),
            item.service,
            item.title,
            item.team,
            item.assigned_to,
            str(item.alert_count),
            duration((now - item.created_at).total_seconds()),
        )
        for item in incidents
    ]
    return table(("#", "severity", "status", "service", "title", "team", "assigned to", "alerts", "age"), rows)


def _print(incident: Incident) -> None:
    facts: dict[str, Cell] = {
        "id": str(incident.id),
        "service": incident.service,
        "severity": Text(incident.severity, SEVERITY_STYLES[incident.severity]),
        "status": Text(incident.status, STATUS_STYLES[incident.status]),
        "team": incident.team,
        "assigned to": incident.assigned_to,
        "created": local_time(incident.created_at),
        "acknowledged after": duration(incident.mtta_seconds),
        "resolved after": duration(incident.mttr_seconds),
        "alerts": f"{incident.alerts_total} ({incident.firing_count} firing)",
    }
    OUT.print(escape_control(f"#{incident.number} {incident.title}"), style="bold", markup=False)
    if incident.description:
        OUT.print(indent_lines(incident.description), markup=False)
    print_table(table((), list(facts.items())))
    rows = [(local_time(entry.created_at), entry.event_type, entry.actor, entry.detail) for entry in incident.timeline]
    print_table(table(("when", "what", "who", "detail"), rows))
