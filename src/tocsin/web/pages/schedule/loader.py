"""Load the schedule that is edited."""

from aiohttp import web

from tocsin.clients.oncall import ONCALL
from tocsin.kernel.errors import NotFoundError, RejectedError
from tocsin.web.pages.schedule.view import NEW, ScheduleData


async def load_schedule(app: web.Application, schedule_id: str) -> ScheduleData:
    """Load a schedule, or nothing if *schedule_id* is `new`. Raise NotFoundError, UpstreamError."""
    if schedule_id == NEW:
        return ScheduleData(NEW, None)
    try:
        return ScheduleData(schedule_id, await app[ONCALL].schedule(schedule_id))
    except RejectedError as exc:
        raise NotFoundError(str(exc)) from exc
