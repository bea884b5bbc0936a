"""The list of incidents: shown, searched, changed in bulk; its filters saved."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from aiohttp import hdrs, web

from tocsin.kernel.errors import InvalidRequestError
from tocsin.web.pages.incidents.bulk import VERBS, BulkChange, BulkResult
from tocsin.web.pages.incidents.filter import IncidentFilter, SavedFilter
from tocsin.web.pages.incidents.loader import load_incidents
from tocsin.web.pages.incidents.saved_filters import clean_name, remember, saved_filters
from tocsin.web.pages.incidents.view import SINCE_LABELS, STATUS_FILTER_LABELS, IncidentsData, incidents_view
from tocsin.web.ui import forms, preferences, templating
from tocsin.web.ui.loaders import PAGE_SIZE
from tocsin.web.ui.name_question import ask_name
from tocsin.web.ui.shared_work import SharedWork

SHARED_INCIDENTS: Final = web.AppKey("SHARED_INCIDENTS", SharedWork[IncidentsData])
"""What concurrent requests of the list load, by filter and person."""
BLOCKS: Final = ("notices", "head", "chips", "results")
NUMBER: Final = re.compile(r"#([1-9][0-9]{0,17})")
OTHER_FIELDS: Final = 8
"""Fields of the bulk form beside the incidents."""


async def get_incidents(request: web.Request) -> web.Response:
    """Show the incidents that match the filters in the address; a search for a number redirects to the incident."""
    chosen = IncidentFilter.read(request.query)
    number = NUMBER.fullmatch(chosen.q)
    if number is not None:
        return forms.see_other(f"/incidents/{number[1]}")
    return await _show(request, chosen, naming="save" in request.query)


async def post_bulk(request: web.Request) -> web.StreamResponse:
    """Acknowledge or resolve the selected incidents; respond with the list and the result for each."""
    fields = await forms.read_fields(request, max_fields=PAGE_SIZE + OTHER_FIELDS)
    form = dict(fields)
    verb = form.get("do", "")
    if verb not in VERBS:
        detail = "Must be `acknowledge` or `resolve`."
        raise InvalidRequestError([{"pointer": "do", "detail": detail}], "Nothing was changed.")
    actor = preferences.actor_of(request, form)
    if not actor:
        return await ask_name(request, fields)
    refs = [value for name, value in fields if name == "incident" and value.isascii() and value.isdecimal()]
    results = await BulkChange(request.app, form, verb, actor).run(refs)
    response = await _show(request, _return_filter(form), results=results, verb=verb)
    preferences.remember_name(response, actor)
    return response


async def get_bulk(_request: web.Request) -> web.StreamResponse:
    """Redirect from the form's address to the list."""
    return forms.see_other(IncidentFilter.path)


async def post_filter(request: web.Request) -> web.StreamResponse:
    """Save the filters of the list under a name; replace another of the same name."""
    form = await forms.read_form(request)
    name, chosen = clean_name(form.get("name", "")), _return_filter(form).with_filters()
    if not name:
        detail = "Must not be empty."
        raise InvalidRequestError([{"pointer": "name", "detail": detail}], "The filter was not saved.")
    kept = [item for item in saved_filters(request) if item.name != name]
    response = forms.see_other(chosen.address)
    remember(response, [*kept, SavedFilter(name, chosen)])
    return response


async def post_filter_deletion(request: web.Request) -> web.StreamResponse:
    """Delete a saved filter; the list stays the same."""
    form = await forms.read_form(request)
    response = forms.see_other(_return_filter(form).address)
    remember(response, [item for item in saved_filters(request) if item.name != form.get("name")])
    return response


async def _show(
    request: web.Request,
    chosen: IncidentFilter,
    *,
    naming: bool = False,
    results: Sequence[BulkResult] | None = None,
    verb: str = "",
    status: int = 200,
) -> web.Response:
    me = preferences.of(request).name
    patient = request.method == hdrs.METH_GET and templating.FRAGMENTS in request.headers
    work = partial(load_incidents, request.app, chosen, me=me)
    shared = await request.app[SHARED_INCIDENTS].get((chosen, me), work, patient=patient)
    data = replace(shared, saved=saved_filters(request))
    context: dict[str, Any] = {
        "view": incidents_view(data),
        "open_count": data.counts.open if data.counts else 0,
        "naming": naming,
        "results": results,
        "verb": verb,
        "key": forms.new_key(),
        "path": IncidentFilter.path,
        "here": chosen.address,
        "status_labels": STATUS_FILTER_LABELS,
        "since_labels": SINCE_LABELS,
    }
    # The results of a click stay until the next one: a refresh leaves their block as it is.
    blocks = BLOCKS if results is None else (*BLOCKS, "outcome")
    return templating.render(request, "pages/incidents/page.html", blocks=blocks, context=context, status=status)


def _return_filter(form: Mapping[str, str]) -> IncidentFilter:
    return IncidentFilter.of_address(form.get("return_to", ""))
