"""Open an incident by hand."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiohttp import web
from pydantic import ValidationError

from tocsin.clients.incidents import INCIDENTS
from tocsin.contracts.incidents import OpenIncident
from tocsin.kernel.errors import FieldError, RejectedError, UpstreamError
from tocsin.web.pages.new_incident.loader import load_new_incident
from tocsin.web.pages.new_incident.view import FIELDS, new_incident_view
from tocsin.web.ui import forms, preferences, templating
from tocsin.web.ui.conflict import Rejection
from tocsin.web.ui.name_question import ask_name

BLOCKS: Final = ("notices", "form")
MESSAGES: Final = {
    "title": "Describe the problem in 1 to 512 characters.",
    "service": "Enter the service, 1 to 256 characters: it determines who is paged.",
    "severity": "Choose a severity.",
    "description": "At most 65,536 characters.",
}
UNPROCESSABLE: Final = 422
UNAVAILABLE: Final = 503


async def get_new(request: web.Request) -> web.Response:
    """Show the form; the query can prefill it."""
    return await _show(request, request.query)


async def post_incident(request: web.Request) -> web.StreamResponse:
    """Open the incident and redirect to it; show the form again, with the reason, if it cannot be opened."""
    form = await forms.read_form(request)
    actor = preferences.actor_of(request, form)
    if not actor:
        return await ask_name(request, form.items())
    values = {name: form[name].replace("\r\n", "\n") for name in FIELDS if form.get(name, "").strip()}
    try:
        wanted = OpenIncident.model_validate({**values, "actor": actor})
    except ValidationError as exc:
        invalid = {str(item["loc"][0]) for item in exc.errors(include_url=False)}
        errors: list[FieldError] = [{"pointer": name, "detail": MESSAGES[name]} for name in FIELDS if name in invalid]
        return await _show(request, form, errors=errors, status=UNPROCESSABLE)
    key = forms.idempotency_key(form, "open", *values.values())
    try:
        incident = await request.app[INCIDENTS].open(wanted, idempotency_key=key)
    except UpstreamError as exc:
        detail = f"It may or may not have been opened: {exc} Submit again; it is opened only once."
        rejection = Rejection("Incident management does not respond", detail)
        return await _show(request, form, rejection=rejection, status=UNAVAILABLE)
    except RejectedError as exc:
        return await _show(request, form, rejection=Rejection("Not opened", str(exc)), status=exc.status)
    response = forms.see_other(f"/incidents/{incident.number}")
    preferences.remember_name(response, actor)
    return response


async def _show(
    request: web.Request,
    given: Mapping[str, str],
    *,
    errors: Sequence[FieldError] = (),
    rejection: Rejection | None = None,
    status: int = 200,
) -> web.Response:
    data = await load_new_incident(request.app)
    context: dict[str, Any] = {
        "view": new_incident_view(data, given, errors=errors, rejection=rejection),
        "key": given.get("key") or forms.new_key(),
        "path": "/incidents/new",
    }
    return templating.render(request, "pages/new_incident/page.html", blocks=BLOCKS, context=context, status=status)
