"""Who is on call."""

from datetime import date
from typing import Annotated, Final

from aiohttp import web
from pydantic import AfterValidator, BaseModel, ConfigDict

from tocsin.contracts.oncall import start_in_calendar
from tocsin.kernel.requests import parse_query
from tocsin.web.pages.oncall.loader import load_oncall
from tocsin.web.pages.oncall.view import oncall_view
from tocsin.web.ui import preferences, templating
from tocsin.web.ui.loaders import with_open_count

BLOCKS: Final = ("notices", "head", "teams", "schedule")


class OnCallQuery(BaseModel):
    """What the chart shows."""

    model_config = ConfigDict(extra="forbid")

    team: str | None = None
    begin: Annotated[date, AfterValidator(start_in_calendar)] | None = None
    """Its first day; this week's Monday by default."""


async def get_oncall(request: web.Request) -> web.Response:
    """Show who is on call, and two weeks of one team."""
    query = parse_query(request, OnCallQuery)
    loading = load_oncall(request.app, team=query.team, first=query.begin, name=preferences.of(request).name)
    data, open_count = await with_open_count(request.app, loading)
    context = {"view": oncall_view(data), "open_count": open_count}
    return templating.render(request, "pages/oncall/page.html", blocks=BLOCKS, context=context)
