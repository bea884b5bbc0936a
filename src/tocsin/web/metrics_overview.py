"""The metrics page and its files: range and team stand in the URL."""

import asyncio
from datetime import datetime, timedelta
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from tocsin.clients import incidents, oncall
from tocsin.contracts.overview import Grain
from tocsin.kernel.errors import NotFoundError, UpstreamError
from tocsin.web import templating
from tocsin.web.rounds import MEMORY, Round
from tocsin.web.service import SETTINGS, beside_waiting
from tocsin.web.views.metrics import DEFAULT_RANGE, RANGES, Metrics, Range, metrics_of

PATH: Final = "/metrics-overview"
BLOCKS: Final = ("notices", "metrics")
MAX_TEAM: Final = 256


@web.middleware
async def metrics_for_people_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Send who asks `/metrics` for HTML to the page; Prometheus does not, and gets its figures."""
    if request.path == "/metrics" and "text/html" in request.headers.get(hdrs.ACCEPT, ""):
        return web.Response(status=303, headers={hdrs.LOCATION: PATH, hdrs.VARY: hdrs.ACCEPT})
    return await handler(request)


async def get_metrics(request: web.Request) -> web.Response:
    """Show how quickly people answer and repair, and what it costs them."""
    view, waiting = await beside_waiting(request.app, _see(request))
    context = {"view": view, "waiting": waiting, "ranges": RANGES.values()}
    return templating.render(request, "metrics.html", blocks=BLOCKS, context=context)


async def get_file(request: web.Request) -> web.Response:
    """Answer with one table as CSV. Raise NotFoundError; UpstreamError where the service that has it is away."""
    view = await _see(request)
    name = request.match_info["name"]
    table = view.tables.get(name)
    if table is None and view.degraded.away:
        msg = "These figures cannot be had now; try again in a moment."
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


async def _see(request: web.Request) -> Metrics:
    chosen = RANGES.get(request.query.get("range", ""), RANGES[DEFAULT_RANGE])
    team = request.query.get("team", "").replace("\0", "").strip()[:MAX_TEAM]
    app = request.app
    round_ = Round(app[MEMORY], app[SETTINGS].part_seconds)
    since = first_day(chosen, round_.at)
    until = since + timedelta(days=chosen.days)
    asked = {"since": since.isoformat(), "until": until.isoformat(), "team": team or None}
    async with asyncio.TaskGroup() as group:
        question = app[incidents.INCIDENTS].overview(budget=round_.budget, by=chosen.by.value, **asked)
        found = group.create_task(round_.ask(incidents.PEER, question))
        on_call = group.create_task(round_.ask(oncall.PEER, app[oncall.ONCALL].overview(budget=round_.budget, **asked)))
    return metrics_of(found.result(), on_call.result(), chosen=chosen, team=team, degraded=round_.close(), at=round_.at)


def first_day(chosen: Range, at: datetime) -> datetime:
    """Return where a range begins: midnight UTC of a day, of a Monday where it is of weeks."""
    today = at.replace(hour=0, minute=0, second=0, microsecond=0)
    if chosen.by is Grain.WEEK:
        today += timedelta(days=6 - today.weekday())
    return today - timedelta(days=chosen.days - 1)
