"""The analytics page and its CSV files."""

from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from tocsin.kernel.errors import NotFoundError, UpstreamError
from tocsin.web.pages.analytics.loader import load_analytics
from tocsin.web.pages.analytics.view import RANGES, AnalyticsData, analytics_view
from tocsin.web.ui import templating
from tocsin.web.ui.loaders import with_open_count

PATH: Final = "/analytics"
BLOCKS: Final = ("notices", "analytics")
MAX_TEAM: Final = 256


@web.middleware
async def metrics_redirect_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Redirect a browser from `/metrics` to the page; Prometheus, which does not accept HTML, gets the metrics."""
    if request.path == "/metrics" and "text/html" in request.headers.get(hdrs.ACCEPT, ""):
        return web.Response(status=303, headers={hdrs.LOCATION: PATH, hdrs.VARY: hdrs.ACCEPT})
    return await handler(request)


async def get_analytics(request: web.Request) -> web.Response:
    """Show how long it takes to acknowledge and resolve incidents, and how often people are paged."""
    data, open_count = await with_open_count(request.app, _load(request))
    context = {"view": analytics_view(data), "open_count": open_count, "ranges": RANGES.values(), "path": PATH}
    return templating.render(request, "pages/analytics/page.html", blocks=BLOCKS, context=context)


async def get_file(request: web.Request) -> web.Response:
    """Respond with one table as CSV. Raise NotFoundError; UpstreamError if its service is unavailable."""
    view = analytics_view(await _load(request))
    name = request.match_info["name"]
    table = view.tables.get(name)
    if table is None and view.outages.services:
        msg = "This table is unavailable right now; try again in a moment."
        raise UpstreamError(msg)
    if table is None:
        msg = f"There is no table {name[:64]!r}."
        raise NotFoundError(msg)
    filename = f"{name}-{view.range.key}-{view.at:%Y-%m-%d}.csv"
    headers = {
        hdrs.CONTENT_DISPOSITION: f'attachment; filename="{filename}"',
        hdrs.CACHE_CONTROL: "no-store",
    }
    return web.Response(text=table.as_csv(), content_type="text/csv", charset="utf-8", headers=headers)


async def _load(request: web.Request) -> AnalyticsData:
    team = request.query.get("team", "").replace("\0", "").strip()[:MAX_TEAM]
    return await load_analytics(request.app, RANGES.get(request.query.get("range", "")), team)
