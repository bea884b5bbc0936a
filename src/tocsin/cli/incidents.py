"""`tocsin incidents`: see them and answer them."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Final

import typer
from pydantic import ValidationError
from rich.table import Table
from rich.text import Text

from tocsin.cli.console import OUT, Cell, harmless, moment, show_table, span, table
from tocsin.cli.gateway import DEFAULT_URL, Gateway, JSONOption, URLOption, ask, refused, user_name
from tocsin.contracts.incidents import ChangeIncident, Incident, IncidentStatus, IncidentSummary
from tocsin.contracts.model import Severity
from tocsin.kernel import clock
from tocsin.kernel.ids import new_id

app = typer.Typer(no_args_is_help=True, help="See incidents and answer them.")

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

IncidentArgument = Annotated[str, typer.Argument(metavar="NUMBER", help="Its number, such as 12 or '#12', or its id.")]
NoteOption = Annotated[str | None, typer.Option(help="Write this down as well.")]
ActorOption = Annotated[str, typer.Option(default_factory=user_name, help="Who acts.", show_default="your user name")]


@app.command("list")
def list_incidents(
    *,
    status: Annotated[IncidentStatus | None, typer.Option(help="Only those in this state.")] = None,
    severity: Annotated[Severity | None, typer.Option(case_sensitive=False, help="Only those this bad.")] = None,
    service: Annotated[str | None, typer.Option(help="Only those of this service.")] = None,
    team: Annotated[str | None, typer.Option(help="Only those of this team.")] = None,
    search: Annotated[str | None, typer.Option(help="Only those with these words.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="At most so many.")] = 50,
    as_json: JSONOption = False,
    url: URLOption = DEFAULT_URL,
) -> None:
    """List incidents, newest first."""
    page = ask(
        url,
        lambda gateway: gateway.incidents.list(
            status=status, severity=severity, service=service, team=team, q=search, limit=limit
        ),
    )
    if as_json:
        OUT.out(page.model_dump_json(indent=2))
    elif page.items:
        show_table(_table(page.items))
    else:
        OUT.print("There is no such incident.")


@app.command()
def show(*, incident: IncidentArgument, as_json: JSONOption = False, url: URLOption = DEFAULT_URL) -> None:
    """Show one incident with its timeline."""
    found = ask(url, lambda gateway: gateway.incidents.find(_path(incident)))
    if as_json:
        OUT.out(found.model_dump_json(indent=2))
    else:
        _print(found)


def _answers_with(name: str, status: IncidentStatus, words: str) -> None:
    """Add the command *name*, which brings an incident to *status*."""

    def answer(
        *,
        incident: IncidentArgument,
        actor: ActorOption,
        note: NoteOption = None,
        as_json: JSONOption = False,
        url: URLOption = DEFAULT_URL,
    ) -> None:
        _say(ask(url, _change(incident, status, actor, note)), as_json=as_json)

    app.command(name, help=words)(answer)


_answers_with("ack", IncidentStatus.ACKNOWLEDGED, "Acknowledge an incident: you have it, and nobody else is paged.")
_answers_with("resolve", IncidentStatus.RESOLVED, "Resolve an incident: it is over.")


def _change(
    incident: str, status: IncidentStatus, actor: str, note: str | None
) -> Callable[[Gateway], Awaitable[Incident]]:
    given = {"status": status, "actor": actor, "notes": note}
    try:
        change = ChangeIncident.model_validate({name: value for name, value in given.items() if value is not None})
    except ValidationError as exc:
        raise refused(exc) from exc
    return lambda gateway: gateway.incidents.change(_path(incident), change, idempotency_key=str(new_id()))


def _path(incident: str) -> str:
    return incident.removeprefix("#")


def _say(incident: Incident, *, as_json: bool) -> None:
    if as_json:
        OUT.out(incident.model_dump_json(indent=2))
        return
    times = (("acknowledged after", incident.mtta_seconds), ("resolved after", incident.mttr_seconds))
    spans = ", ".join(f"{name} {span(seconds)}" for name, seconds in times if seconds is not None)
    OUT.print(harmless(f"#{incident.number} {incident.title}: {incident.status} ({spans})"), markup=False)


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
            span((now - item.created_at).total_seconds()),
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
        "created": moment(incident.created_at),
        "acknowledged after": span(incident.mtta_seconds),
        "resolved after": span(incident.mttr_seconds),
        "alerts": f"{incident.alerts_total} ({incident.firing_count} firing)",
    }
    OUT.print(harmless(f"#{incident.number} {incident.title}"), style="bold", markup=False)
    if incident.description:
        OUT.print(harmless(incident.description), markup=False)
    show_table(table((), list(facts.items())))
    rows = [(moment(entry.created_at), entry.event_type, entry.actor, entry.detail) for entry in incident.timeline]
    show_table(table(("when", "what", "who", "detail"), rows))
