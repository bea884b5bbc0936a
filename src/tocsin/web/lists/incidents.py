"""The list of incidents: shown, searched, acted on, saved."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiohttp import web

from tocsin.kernel.errors import InvalidRequestError
from tocsin.web import forms, templating, visitor
from tocsin.web.lists import saved
from tocsin.web.lists.asking import SHOWN, incidents_seen, new_round
from tocsin.web.lists.bulk import VERBS, Bulk, Outcome
from tocsin.web.lists.filters import IncidentFilter, SavedFilter
from tocsin.web.views.incident_list import SINCE_WORDS, STAGE_WORDS, list_of

BLOCKS: Final = ("notices", "head", "chips", "results")
NUMBER: Final = re.compile(r"#([1-9][0-9]{0,17})")
OTHER_FIELDS: Final = 8
"""Fields of the bulk form beside the incidents."""


async def get_incidents(request: web.Request) -> web.Response:
    """Show the incidents that the address asks for; a number that is searched for leads to its incident."""
    chosen = IncidentFilter.read(request.query)
    number = NUMBER.fullmatch(chosen.q)
    if number is not None:
        return forms.see_other(f"/incidents/{number[1]}")
    return await _show(request, chosen, naming="save" in request.query)


async def _show(
    request: web.Request,
    chosen: IncidentFilter,
    *,
    naming: bool = False,
    outcomes: Sequence[Outcome] | None = None,
    verb: str = "",
    status: int = 200,
) -> web.Response:
    me = visitor.of(request).name
    round_ = new_round(request.app)
    seen = await incidents_seen(request.app, round_, chosen, me)
    context: dict[str, Any] = {
        "view": list_of(seen, chosen, saved=saved.saved_in(request), me=me, degraded=round_.close(), at=round_.at),
        "waiting": seen.counts.open if seen.counts else 0,
        "naming": naming,
        "outcomes": outcomes,
        "verb": verb,
        "key": forms.new_key(),
        "path": "/incidents",
        "here": chosen.address,
        "stage_words": STAGE_WORDS,
        "since_words": SINCE_WORDS,
    }
    # What became of a click stays until the next one: a refresh says nothing of it.
    blocks = BLOCKS if outcomes is None else (*BLOCKS, "outcome")
    return templating.render(request, "incidents.html", blocks=blocks, context=context, status=status)


async def post_bulk(request: web.Request) -> web.StreamResponse:
    """Acknowledge or resolve what is selected; answer with the list and what became of each."""
    fields = await forms.read_fields(request, max_fields=SHOWN + OTHER_FIELDS)
    form = dict(fields)
    verb = form.get("do", "")
    if verb not in VERBS:
        raise InvalidRequestError([{"pointer": "do", "detail": "Say acknowledge or resolve."}], "Nothing was changed.")
    refs = [value for name, value in fields if name == "incident" and value.isascii() and value.isdecimal()]
    outcomes = await Bulk(request.app, form, verb, visitor.of(request).actor).run(refs)
    return await _show(request, _back(form), outcomes=outcomes, verb=verb)


async def get_bulk(_request: web.Request) -> web.StreamResponse:
    """Lead who opens the form's address to the list."""
    return forms.see_other(IncidentFilter.path)


async def post_filter(request: web.Request) -> web.StreamResponse:
    """Save the list that is shown under a name; another of this name gives way."""
    form = await forms.read_form(request)
    name, chosen = saved.clean(form.get("name", "")), _back(form).but()
    if not name:
        raise InvalidRequestError([{"pointer": "name", "detail": "A filter has a name."}], "The filter was not saved.")
    kept = [item for item in saved.saved_in(request) if item.name != name]
    response = forms.see_other(chosen.address)
    saved.remember(response, [*kept, SavedFilter(name, chosen)])
    return response


async def post_forget(request: web.Request) -> web.StreamResponse:
    """Forget a saved filter; the list stays as it is shown."""
    form = await forms.read_form(request)
    response = forms.see_other(_back(form).address)
    saved.remember(response, [item for item in saved.saved_in(request) if item.name != form.get("name")])
    return response


def _back(form: Mapping[str, str]) -> IncidentFilter:
    return IncidentFilter.of_address(form.get("back", ""))
