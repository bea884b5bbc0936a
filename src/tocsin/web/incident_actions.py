"""The forms that act on an incident, on its own page and on Now.

A form responds with a redirect to the page it was on, so that it works without JavaScript; a rejected action shows
that page with the reason.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Final, TypeAlias

from aiohttp import web

from tocsin.clients.incidents import INCIDENTS
from tocsin.clients.oncall import ONCALL
from tocsin.contracts.escalations import Escalate
from tocsin.contracts.incidents import MAX_NOTE, ChangeIncident, IncidentStatus
from tocsin.kernel.errors import InvalidRequestError, NotFoundError, RejectedError
from tocsin.web.pages.incident.handlers import incident_ref, show_incident
from tocsin.web.pages.now.handlers import show_now
from tocsin.web.ui import forms, preferences
from tocsin.web.ui.conflict import Rejection, already_done
from tocsin.web.ui.name_question import ask_name

STATUS_OF_VERB: Final = {
    "acknowledge": IncidentStatus.ACKNOWLEDGED,
    "start": IncidentStatus.IN_PROGRESS,
    "resolve": IncidentStatus.RESOLVED,
}
Action: TypeAlias = Callable[[str, Mapping[str, str], str], Awaitable[Rejection | None]]
"""Takes the incident's number or id, the form and the actor."""


async def post_change(request: web.Request) -> web.StreamResponse:
    """Acknowledge, start work on or resolve an incident."""
    status = STATUS_OF_VERB[request.match_info["verb"]]

    async def change(ref: str, form: Mapping[str, str], actor: str) -> Rejection | None:
        key = forms.idempotency_key(form, "status", ref, status, actor)
        wanted = ChangeIncident(status=status, actor=actor)
        first = already_done(await request.app[INCIDENTS].change(ref, wanted, idempotency_key=key))
        # The service accepts a status that the incident already has, but the visitor must learn who was first.
        return replace(first, done_by_other=True) if first and not first.who.startswith(f"{actor} ") else None

    return await _act(request, change)


async def post_note(request: web.Request) -> web.StreamResponse:
    """Add a note to an incident's timeline."""

    async def note(ref: str, form: Mapping[str, str], actor: str) -> Rejection | None:
        text = form.get("text", "").replace("\r\n", "\n").strip()
        if not text:
            raise InvalidRequestError([{"pointer": "text", "detail": "Must not be empty."}], "The note is empty.")
        if len(text) > MAX_NOTE:
            detail = f"The note has {len(text):,} characters; shorten it to {MAX_NOTE:,} and add it again."
            raise RejectedError(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
        key = forms.idempotency_key(form, "note", ref, text, actor)
        await request.app[INCIDENTS].change(ref, ChangeIncident(notes=text, actor=actor), idempotency_key=key)
        return None

    return await _act(request, note)


async def post_escalate(request: web.Request) -> web.StreamResponse:
    """Page the next level now."""

    async def escalate(ref: str, form: Mapping[str, str], actor: str) -> Rejection | None:
        incident = await request.app[INCIDENTS].find(ref)
        key = forms.idempotency_key(form, "escalate", str(incident.id))
        order = Escalate(incident_id=incident.id, actor=actor)
        await request.app[ONCALL].escalate(order, idempotency_key=key)
        return None

    return await _act(request, escalate)


async def _act(request: web.Request, action: Action) -> web.StreamResponse:
    ref = incident_ref(request)
    form = await forms.read_form(request)
    actor = preferences.actor_of(request, form)
    if not actor:
        return await ask_name(request, form.items())
    try:
        rejection = await action(ref, form, actor)
    except RejectedError as exc:
        response = await _reject(request, ref, form, exc)
    else:
        if rejection is None:
            response = forms.see_other(forms.return_to(form, f"/incidents/{ref}"))
        else:
            response = await _show_page_of_form(request, ref, form, status=200, rejection=rejection)
    preferences.remember_name(response, actor)
    return response


async def _reject(request: web.Request, ref: str, form: Mapping[str, str], exc: RejectedError) -> web.Response:
    if exc.status == HTTPStatus.NOT_FOUND:
        raise NotFoundError(str(exc)) from exc
    first = already_done(await request.app[INCIDENTS].find(ref)) if exc.status == HTTPStatus.CONFLICT else None
    rejection = first or Rejection("This action failed", str(exc))
    return await _show_page_of_form(request, ref, form, status=exc.status, rejection=rejection)


async def _show_page_of_form(
    request: web.Request, ref: str, form: Mapping[str, str], *, status: int, rejection: Rejection
) -> web.Response:
    if forms.return_to(form) == "/":
        return await show_now(request, status=status, rejection=rejection)
    return await show_incident(request, ref, status=status, rejection=rejection, note=form.get("text", ""))
