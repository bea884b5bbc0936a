"""Load the figures of one range."""

from datetime import datetime, timedelta

from aiohttp import web

from tocsin.clients import incidents, oncall
from tocsin.contracts.overview import Grain
from tocsin.kernel import tasks
from tocsin.web.pages.analytics.view import LONGEST_DEFAULT, AnalyticsData, Range, default_range
from tocsin.web.ui.page_loader import PageLoader


async def load_analytics(app: web.Application, chosen: Range | None, team: str) -> AnalyticsData:
    """Load the overviews of incidents and paging, of one *team* or of all.

    Without a *chosen* range, load the shortest one with enough incidents; finding it takes one more request.
    """
    load = PageLoader(app)
    chosen = chosen or await _default_range(app, load, team)
    since = first_day(chosen, load.at)
    until = since + timedelta(days=chosen.days)
    parameters = {"since": since.isoformat(), "until": until.isoformat(), "team": team or None}
    async with tasks.task_group() as group:
        response = app[incidents.INCIDENTS].overview(budget=load.budget, by=chosen.by.value, **parameters)
        stats = group.create_task(load.fetch(incidents.PEER, response))
        paging = app[oncall.ONCALL].overview(budget=load.budget, **parameters)
        on_call = group.create_task(load.fetch(oncall.PEER, paging))
    return AnalyticsData(load.at, chosen, team, stats.result(), on_call.result(), load.outages())


async def _default_range(app: web.Application, load: PageLoader, team: str) -> Range:
    since = load.at.date() - timedelta(days=LONGEST_DEFAULT.days - 1)
    parameters = {"since": f"{since}T00:00:00Z", "until": load.at.isoformat(), "team": team or None}
    response = app[incidents.INCIDENTS].overview(budget=load.budget, by=Grain.DAY.value, **parameters)
    stats = await load.fetch(incidents.PEER, response)
    return default_range(stats.periods if stats else [], load.at.date())


def first_day(chosen: Range, at: datetime) -> datetime:
    """Return the start of a range: midnight UTC of a day, of a Monday if it is divided into weeks."""
    today = at.replace(hour=0, minute=0, second=0, microsecond=0)
    if chosen.by is Grain.WEEK:
        today += timedelta(days=6 - today.weekday())
    return today - timedelta(days=chosen.days - 1)
