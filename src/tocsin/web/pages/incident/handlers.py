"""One incident."""

import re
from typing import Final

from aiohttp import hdrs, web

from tocsin.kernel.errors import NotFoundError
from tocsin.web.pages.incident.loader import load_incident
from tocsin.web.pages.incident.postmortem import postmortem_of
from tocsin.web.pages.incident.timeline import TimelineFilter
from tocsin.web.pages.incident.view import incident_view
from tocsin.web.ui import forms, templating
from tocsin.web.ui.conflict import Rejection
from tocsin.web.ui.loaders import find_incident
from tocsin.web.ui.page_loader import PageLoader

REF: Final = re.compile(r"[1-9][0-9]{0,17}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
BLOCKS: Final = (
    "notices",
    "head",
    "actions",
    "response",
    "alerts",
    "timeline",
    "escalation",
    "details",
    "responders",
    "same_service",
)


async def get_incident(request: web.Request) -> web.Response:
    """Show one incident, by number or id, with all of its timeline or a part of it."""
    return await show_incident(request, incident_ref(request))


async def get_postmortem(request: web.Request) -> web.Response:
    """Respond with the incident as Markdown, to start a postmortem from."""
    incident = await find_incident(request.app, incident_ref(request), PageLoader(request.app))
    headers = {hdrs.CACHE_CONTROL: "no-store"}
    return web.Response(text=postmortem_of(incident), content_type="text/plain", headers=headers)


async def show_incident(
    request: web.Request, ref: str, *, status: int = 200, rejection: Rejection | None = None, note: str = ""
) -> web.Response:
    """Render the page, below *rejection* if an action on it failed; *note* is the text of a note that was rejected."""
    data = await load_incident(request.app, ref, TimelineFilter.read(request.query))
    context = {
        "view": incident_view(data),
        "open_count": data.open_count,
        "rejection": rejection,
        "note": note,
        "key": forms.new_key(),
        "path": f"/incidents/{data.incident.number}",
    }
    return templating.render(request, "pages/incident/page.html", blocks=BLOCKS, context=context, status=status)


def incident_ref(request: web.Request) -> str:
    """Return the number or id in the request's path. Raise NotFoundError if it is neither."""
    ref = request.match_info["incident"].lower()
    if not REF.fullmatch(ref):
        msg = f"There is no incident {ref[:64]!r}: use its number, such as 12, or its id."
        raise NotFoundError(msg)
    return ref
