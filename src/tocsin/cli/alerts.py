"""`tocsin alert`: send an alert by hand."""

from http import HTTPStatus
from typing import Annotated, Final

import typer
from pydantic import ValidationError

from tocsin.cli.console import OUT, CommandError, escape_control, print_json
from tocsin.cli.gateway import DEFAULT_URL, Gateway, JSONOption, URLOption, call, usage_error
from tocsin.contracts.alerts import AlertAccepted, AlertAction, AlertIn, AlertStatus
from tocsin.contracts.incidents import Incident
from tocsin.contracts.model import Severity
from tocsin.kernel.errors import RejectedError
from tocsin.kernel.ids import new_id

app = typer.Typer(no_args_is_help=True, help="Send alerts.")

RESULTS: Final = {
    AlertAction.NEW_INCIDENT: "It opened incident {incident}.",
    AlertAction.ATTACHED: "It was attached to incident {incident}.",
    AlertAction.REPEATED: "It repeats an alert that is firing, in incident {incident}.",
    AlertAction.RESOLVED: "It is resolved, in incident {incident}.",
    AlertAction.IGNORED: "No alert with this key was firing: it opens no incident.",
    AlertAction.PENDING: "It gets its incident as soon as incident management is available.",
}


@app.command()
def send(
    *,
    service: Annotated[str, typer.Argument(help="The affected service, such as checkout.")],
    severity: Annotated[Severity, typer.Argument(case_sensitive=False, help="Severity.")],
    message: Annotated[str, typer.Argument(help="The problem, in one sentence.")],
    label: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="A label; repeat for more.")] = None,
    dedup_key: Annotated[
        str | None, typer.Option(help="Deduplication key: reports with this key update one alert until it is resolved.")
    ] = None,
    resolved: Annotated[
        bool, typer.Option("--resolved", help="Resolve the alert with this deduplication key.")
    ] = False,
    as_json: JSONOption = False,
    url: URLOption = DEFAULT_URL,
) -> None:
    """Send an alert, and print which incident it belongs to."""
    given = {
        "service": service,
        "severity": severity,
        "message": message,
        "labels": dict(map(_label, label or [])),
        "dedup_key": dedup_key,
        "status": AlertStatus.RESOLVED if resolved else AlertStatus.FIRING,
        "source": "tocsin alert send",
    }
    try:
        alert = AlertIn.model_validate(given)
    except ValidationError as exc:
        raise usage_error(exc) from exc
    accepted, incident = call(url, lambda gateway: _send(gateway, alert))
    if as_json:
        print_json(accepted)
        return
    reference = f"incident {accepted.incident_id}"
    if incident is not None:
        page = f"{url.rstrip('/')}/incidents/{incident.number}"
        reference = f"#{incident.number} ({escape_control(incident.title)}, {incident.status}): {page}"
    result = RESULTS[accepted.action].format(incident=reference)
    OUT.print(f"Alert {accepted.alert_id} is stored. {result}", markup=False)


async def _send(gateway: Gateway, alert: AlertIn) -> tuple[AlertAccepted, Incident | None]:
    accepted = await gateway.alerts.send(alert, idempotency_key=str(new_id()))
    if accepted.incident_id is None:
        return accepted, None
    try:
        return accepted, await gateway.incidents.find(accepted.incident_id)
    except RejectedError as exc:
        if exc.status != HTTPStatus.FORBIDDEN:
            raise
        return accepted, None  # a sender's token reads nothing


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        msg = f"--label {text!r} is not of the form NAME=VALUE"
        raise CommandError(msg, "For example: --label region=eu-west")
    return name, value
