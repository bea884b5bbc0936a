"""Opening an incident by hand."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiohttp import web
from pydantic import ValidationError

from tocsin.clients.incidents import INCIDENTS
from tocsin.contracts.incidents import OpenIncident
from tocsin.contracts.model import Severity
from tocsin.kernel.errors import FieldError, RejectedError, UpstreamError
from tocsin.web import forms, templating, visitor
from tocsin.web.lists.asking import new_round, schedules_known
from tocsin.web.views.standing import Refusal

BLOCKS: Final = ("notices", "form")
FIELDS: Final = ("title", "service", "severity", "description")
WORDS: Final = {
    "title": "Say in up to 512 characters what is wrong.",
    "service": "Name the service, in up to 256 characters: it decides who is paged.",
    "severity": "Choose how bad it is.",
    "description": "Up to 65,536 characters.",
}
UNPROCESSABLE: Final = 422
UNAVAILABLE: Final = 503


async def get_new(request: web.Request) -> web.Response:
    """Show the empty form; an address may fill in what is known already."""
    return await _show(request, request.query)


async def post_incident(request: web.Request) -> web.StreamResponse:
    """Open the incident and lead to it. What cannot be opened comes back as it was written, with the reason."""
    form = await forms.read_form(request)
    given = visitor.clean_name(form.get("actor", ""))
    actor = given or visitor.of(request).actor
    values = {name: form[name].replace("\r\n", "\n") for name in FIELDS if form.get(name, "").strip()}
    try:
        wanted = OpenIncident.model_validate({**values, "actor": actor})
    except ValidationError as exc:
        wrong = {str(item["loc"][0]) for item in exc.errors(include_url=False)}
        errors: list[FieldError] = [{"pointer": name, "detail": WORDS[name]} for name in FIELDS if name in wrong]
        return await _show(request, form, errors=errors, status=UNPROCESSABLE)
    key = forms.idempotency_key(form, "open", *values.values())
    try:
        incident = await request.app[INCIDENTS].open(wanted, idempotency_key=key)
    except UpstreamError as exc:
        detail = f"Whether it was opened is not known: {exc} Send it again; it is opened once."
        refused = Refusal("Incident management does not answer", detail)
        return await _show(request, form, refused=refused, status=UNAVAILABLE)
    except RejectedError as exc:
        return await _show(request, form, refused=Refusal("Nothing was opened", str(exc)), status=exc.status)
    response = forms.see_other(f"/incidents/{incident.number}")
    if given:
        visitor.remember_name(response, given)
    return response


async def _show(
    request: web.Request,
    given: Mapping[str, str],
    *,
    errors: Sequence[FieldError] = (),
    refused: Refusal | None = None,
    status: int = 200,
) -> web.Response:
    round_ = new_round(request.app)
    known = await schedules_known(request.app, round_)
    owned = {service for schedule in known.value.items for service in schedule.services} if known.value else set()
    context: dict[str, Any] = {
        "values": {name: given.get(name, "") for name in FIELDS},
        "errors": {error["pointer"]: error["detail"] for error in errors},
        "refused": refused,
        "services": sorted(owned, key=str.casefold),
        "severities": list(Severity),
        "degraded": round_.close(),
        "key": given.get("key") or forms.new_key(),
        "path": "/incidents/new",
    }
    return templating.render(request, "new_incident.html", blocks=BLOCKS, context=context, status=status)
