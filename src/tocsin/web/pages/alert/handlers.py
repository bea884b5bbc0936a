"""One alert."""

from typing import Any, Final

from aiohttp import web

from tocsin.kernel.requests import path_uuid
from tocsin.web.pages.alert.loader import load_alert
from tocsin.web.pages.alert.view import alert_view
from tocsin.web.ui import templating
from tocsin.web.ui.loaders import with_open_count

BLOCKS: Final = ("notices", "alert")


async def get_alert(request: web.Request) -> web.Response:
    """Show one alert with the request that reported it last."""
    alert_id = path_uuid(request, "alert_id")
    data, open_count = await with_open_count(request.app, load_alert(request.app, alert_id))
    context: dict[str, Any] = {"view": alert_view(data), "open_count": open_count, "path": f"/alerts/{alert_id}"}
    return templating.render(request, "pages/alert/page.html", blocks=BLOCKS, context=context)
