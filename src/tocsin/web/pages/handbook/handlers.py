"""The handbook."""

from aiohttp import web

from tocsin.kernel.errors import NotFoundError
from tocsin.web.pages.handbook.loader import load_handbook
from tocsin.web.pages.handbook.view import handbook_view
from tocsin.web.ui import templating


async def get_page(request: web.Request) -> web.Response:
    """Show one page, by its file name: relative links between the files work here, too."""
    data = load_handbook(request.match_info["page"])
    if data.text is None:
        msg = f"There is no page {data.name[:64]!r} in the handbook, only {', '.join(data.titles)}."
        raise NotFoundError(msg)
    context = {"view": handbook_view(data.name, data.text, data.titles)}
    return templating.render(request, "pages/handbook/page.html", blocks=(), context=context)
