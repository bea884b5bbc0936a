"""`tocsin alert`: send one by hand."""

from typing import Annotated, Final

import typer
from pydantic import ValidationError

from tocsin.cli.console import OUT, CommandError, harmless
from tocsin.cli.gateway import DEFAULT_URL, Gateway, JSONOption, URLOption, ask, refused
from tocsin.contracts.alerts import AlertAccepted, AlertAction, AlertIn, AlertStatus
from tocsin.contracts.incidents import Incident
from tocsin.contracts.model import Severity
from tocsin.kernel.ids import new_id

app = typer.Typer(no_args_is_help=True, help="Send alerts.")

BECAME: Final = {
    AlertAction.NEW_INCIDENT: "It opened incident {incident}.",
    AlertAction.ATTACHED: "It was attached to incident {incident}.",
    AlertAction.REPEATED: "It was firing already, and counts once more in incident {incident}.",
    AlertAction.RESOLVED: "It is resolved, in incident {incident}.",
    AlertAction.IGNORED: "Nothing with this key was firing: it is stored, and opens nothing.",
    AlertAction.PENDING: "It is stored; it gets its incident as soon as incident management answers.",
}


@app.command()
def send(
    *,
    service: Annotated[str, typer.Argument(help="What is in trouble, such as checkout.")],
    severity: Annotated[Severity, typer.Argument(case_sensitive=False, help="How bad it is.")],
    message: Annotated[str, typer.Argument(help="What is wrong, in a sentence.")],
    label: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="A label; repeat for more.")] = None,
    dedup_key: Annotated[str | None, typer.Option(help="Alerts of one key are one until it is resolved.")] = None,
    resolved: Annotated[bool, typer.Option("--resolved", help="It is over: resolve the alert of this key.")] = False,
    as_json: JSONOption = False,
    url: URLOption = DEFAULT_URL,
) -> None:
    """Send an alert, and say what became of it."""
    given = {
        "service": service,
        "severity": severity,
        "message": message,
        "labels": dict(map(_pair, label or [])),
        "dedup_key": dedup_key,
        "status": AlertStatus.RESOLVED if resolved else AlertStatus.FIRING,
        "source": "tocsin alert send",
    }
    try:
        alert = AlertIn.model_validate(given)
    except ValidationError as exc:
        raise refused(exc) from exc
    accepted, incident = ask(url, lambda gateway: _send(gateway, alert))
    if as_json:
        OUT.out(accepted.model_dump_json(indent=2))
        return
    where = ""
    if incident is not None:
        page = f"{url.rstrip('/')}/incidents/{incident.number}"
        where = f"#{incident.number} ({harmless(incident.title)}, {incident.status}): {page}"
    OUT.print(f"Alert {accepted.alert_id} is stored. " + BECAME[accepted.action].format(incident=where), markup=False)


async def _send(gateway: Gateway, alert: AlertIn) -> tuple[AlertAccepted, Incident | None]:
    accepted = await gateway.alerts.send(alert, idempotency_key=str(new_id()))
    if accepted.incident_id is None:
        return accepted, None
    return accepted, await gateway.incidents.find(accepted.incident_id)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        msg = f"--label {text!r} is not of the form NAME=VALUE"
        raise CommandError(msg, "For example: --label region=eu-west")
    return name, value
