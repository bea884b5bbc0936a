"""The list of alerts."""

from typing import Any, Final

from aiohttp import web

from tocsin.web.pages.alerts.filter import AlertFilter
from tocsin.web.pages.alerts.loader import load_alerts
from tocsin.web.pages.alerts.view import alerts_view
from tocsin.web.ui import templating
from tocsin.web.ui.loaders import with_open_count

BLOCKS: Final = ("notices", "head", "chips", "results")


async def get_alerts(request: web.Request) -> web.Response:
    """Show the alerts that match the filters in the address."""
    chosen = AlertFilter.read(request.query)
    data, open_count = await with_open_count(request.app, load_alerts(request.app, chosen))
    context: dict[str, Any] = {
        "view": alerts_view(data),
        "open_count": open_count,
        "path": AlertFilter.path,
        "here": chosen.address,
    }
    return templating.render(request, "pages/alerts/page.html", blocks=BLOCKS, context=context)
