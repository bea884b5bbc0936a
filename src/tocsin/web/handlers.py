"""Pages and the forms on them. A form answers with a redirect to its page, so that it works without JavaScript."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final

from aiohttp import hdrs, web

from tocsin.clients.incidents import INCIDENTS
from tocsin.clients.oncall import ONCALL
from tocsin.contracts.escalations import Escalate
from tocsin.contracts.incidents import ChangeIncident, IncidentStatus
from tocsin.kernel.errors import InvalidRequestError, NotFoundError, RejectedError
from tocsin.web import forms, service, templating, visitor
from tocsin.web.views.standing import Refusal, overtaken
from tocsin.web.views.timeline import Look

REF: Final = re.compile(r"[1-9][0-9]{0,17}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NOW_BLOCKS: Final = ("notices", "head", "list", "strip", "rail", "done")
INCIDENT_BLOCKS: Final = (
    "notices",
    "head",
    "actions",
    "answer",
    "alerts",
    "timeline",
    "escalation",
    "details",
    "people",
    "around",
)
STATUS_OF_VERB: Final = {
    "acknowledge": IncidentStatus.ACKNOWLEDGED,
    "start": IncidentStatus.IN_PROGRESS,
    "resolve": IncidentStatus.RESOLVED,
}
NOT_FOUND: Final = 404
CONFLICT: Final = 409


async def get_now(request: web.Request) -> web.Response:
    """Show what rings, what is worked on, who is on call and how we do."""
    return await _show_now(request)


async def get_incident(request: web.Request) -> web.Response:
    """Show one incident, by number or id, with all of its timeline or one part."""
    return await _show_incident(request, _ref(request))


async def get_review(request: web.Request) -> web.Response:
    """Write one incident down for the review that follows it."""
    text = await service.review_incident(request.app, _ref(request))
    return web.Response(text=text, content_type="text/plain", headers={hdrs.CACHE_CONTROL: "no-store"})


async def _show_now(request: web.Request, *, status: int = 200, refused: Refusal | None = None) -> web.Response:
    now = await service.see_now(request.app)
    context = {"now": now, "waiting": now.waiting if now.rings else 0, "refused": refused, "path": "/"}
    return templating.render(request, "now.html", blocks=NOW_BLOCKS, context=context, status=status)


async def _show_incident(
    request: web.Request, ref: str, *, status: int = 200, refused: Refusal | None = None
) -> web.Response:
    question = service.see_incident(request.app, ref, Look.read(request.query))
    view, waiting = await service.beside_waiting(request.app, question)
    context = {
        "view": view,
        "waiting": waiting,
        "refused": refused,
        "key": forms.new_key(),
        "path": f"/incidents/{view.incident.number}",
    }
    return templating.render(request, "incident.html", blocks=INCIDENT_BLOCKS, context=context, status=status)


async def post_change(request: web.Request) -> web.StreamResponse:
    """Acknowledge, start work on or resolve an incident."""
    status = STATUS_OF_VERB[request.match_info["verb"]]

    async def change(ref: str, form: Mapping[str, str], actor: str) -> Refusal | None:
        key = forms.idempotency_key(form, "status", ref, status, actor)
        wanted = ChangeIncident(status=status, actor=actor)
        first = overtaken(await request.app[INCIDENTS].change(ref, wanted, idempotency_key=key))
        # What is so already is no error, but whoever clicked believes that it is theirs.
        return replace(first, late=True) if first and not first.who.startswith(f"{actor} ") else None

    return await _act(request, change)


async def post_note(request: web.Request) -> web.StreamResponse:
    """Add a note to an incident's timeline."""

    async def note(ref: str, form: Mapping[str, str], actor: str) -> Refusal | None:
        text = form.get("text", "").replace("\r\n", "\n").strip()
        if not text:
            raise InvalidRequestError([{"pointer": "text", "detail": "A note says something."}], "The note is empty.")
        key = forms.idempotency_key(form, "note", ref, text, actor)
        await request.app[INCIDENTS].change(ref, ChangeIncident(notes=text, actor=actor), idempotency_key=key)
        return None

    return await _act(request, note)


async def post_escalate(request: web.Request) -> web.StreamResponse:
    """Page the next level now."""

    async def escalate(ref: str, form: Mapping[str, str], actor: str) -> Refusal | None:
        incident = await request.app[INCIDENTS].find(ref)
        key = forms.idempotency_key(form, "escalate", str(incident.id))
        order = Escalate(incident_id=incident.id, reason=f"asked for by {actor}", actor=actor)
        await request.app[ONCALL].escalate(order, idempotency_key=key)
        return None

    return await _act(request, escalate)


Act = Callable[[str, Mapping[str, str], str], Awaitable[Refusal | None]]


async def _act(request: web.Request, act: Act) -> web.StreamResponse:
    ref = _ref(request)
    form = await forms.read_form(request)
    given = visitor.clean_name(form.get("actor", ""))
    try:
        late = await act(ref, form, given or visitor.of(request).actor)
    except RejectedError as exc:
        return await _refuse(request, ref, form, exc)
    if late is not None:
        return await _show_where(request, ref, form, status=200, refused=late)
    response = forms.see_other(forms.way_back(form, f"/incidents/{ref}"))
    if given:
        visitor.remember_name(response, given)
    return response


async def _refuse(request: web.Request, ref: str, form: Mapping[str, str], exc: RejectedError) -> web.Response:
    if exc.status == NOT_FOUND:
        raise NotFoundError(str(exc)) from exc
    first = overtaken(await request.app[INCIDENTS].find(ref)) if exc.status == CONFLICT else None
    refused = first or Refusal("This was not done", str(exc))
    return await _show_where(request, ref, form, status=exc.status, refused=refused)


async def _show_where(
    request: web.Request, ref: str, form: Mapping[str, str], *, status: int, refused: Refusal
) -> web.Response:
    """Show the page that the form stood on as it is now."""
    if forms.way_back(form) == "/":
        return await _show_now(request, status=status, refused=refused)
    return await _show_incident(request, ref, status=status, refused=refused)


async def post_name(request: web.Request) -> web.StreamResponse:
    """Remember who acts in this browser."""
    form = await forms.read_form(request)
    response = forms.see_other(forms.way_back(form))
    visitor.remember_name(response, visitor.clean_name(form.get("actor", "")))
    return response


async def post_theme(request: web.Request) -> web.StreamResponse:
    """Remember which theme this browser shows."""
    form = await forms.read_form(request)
    response = forms.see_other(forms.way_back(form))
    visitor.remember_theme(response, form.get("theme", ""))
    return response


async def post_keys(request: web.Request) -> web.StreamResponse:
    """Remember whether single keys act in this browser."""
    form = await forms.read_form(request)
    response = forms.see_other(forms.way_back(form))
    visitor.remember_keys(response, form.get("keys", ""))
    return response


def _ref(request: web.Request) -> str:
    ref = request.match_info["incident"].lower()
    if not REF.fullmatch(ref):
        msg = f"There is no incident {ref[:64]!r}: incidents are called by number or id."
        raise NotFoundError(msg)
    return ref
