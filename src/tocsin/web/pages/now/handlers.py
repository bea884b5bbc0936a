"""Now, the first page: concurrent requests share what is loaded and rendered."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from aiohttp import hdrs, web

from tocsin.web.pages.now.loader import load_now
from tocsin.web.pages.now.view import NowView, now_view
from tocsin.web.ui import templating
from tocsin.web.ui.conflict import Rejection
from tocsin.web.ui.shared_work import SharedWork

BLOCKS: Final = ("notices", "head", "list", "strip", "rail", "done")


@dataclass(frozen=True, slots=True)
class SharedNow:
    """The view of one moment, and the bodies rendered of it."""

    view: NowView
    bodies: dict[Hashable, bytes] = field(default_factory=dict)


SHARED_NOW: Final = web.AppKey("SHARED_NOW", SharedWork[SharedNow])


async def get_now(request: web.Request) -> web.Response:
    """Show the incidents that are not resolved, who is on call, and response times."""
    return await show_now(request)


async def show_now(request: web.Request, *, status: int = 200, rejection: Rejection | None = None) -> web.Response:
    """Render the page, below *rejection* if an action on it failed."""
    # A person who opens the page or acts on it does not wait for others; a refresh may.
    patient = request.method == hdrs.METH_GET and templating.FRAGMENTS in request.headers
    shared = await request.app[SHARED_NOW].get("/", partial(_load, request.app), patient=patient)
    view = shared.view
    context = {
        "view": view,
        "open_count": view.open_count if view.unacknowledged else 0,
        "rejection": rejection,
        "path": "/",
    }
    bodies = shared.bodies if rejection is None else None
    return templating.render(
        request, "pages/now/page.html", blocks=BLOCKS, context=context, status=status, bodies=bodies
    )


async def _load(app: web.Application) -> SharedNow:
    return SharedNow(now_view(await load_now(app)))
