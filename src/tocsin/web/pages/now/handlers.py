"""Now, the first page."""

from typing import Final

from aiohttp import web

from tocsin.web.pages.now.loader import load_now
from tocsin.web.pages.now.view import now_view
from tocsin.web.ui import templating
from tocsin.web.ui.conflict import Rejection

BLOCKS: Final = ("notices", "head", "list", "strip", "rail", "done")


async def get_now(request: web.Request) -> web.Response:
    """Show the incidents that are not resolved, who is on call, and response times."""
    return await show_now(request)


async def show_now(request: web.Request, *, status: int = 200, rejection: Rejection | None = None) -> web.Response:
    """Render the page, below *rejection* if an action on it failed."""
    view = now_view(await load_now(request.app))
    context = {
        "view": view,
        "open_count": view.open_count if view.unacknowledged else 0,
        "rejection": rejection,
        "path": "/",
    }
    return templating.render(request, "pages/now/page.html", blocks=BLOCKS, context=context, status=status)
