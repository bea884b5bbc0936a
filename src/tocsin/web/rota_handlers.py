"""The pages of who is on call, and the form that makes and changes a schedule."""

from datetime import date
from typing import Annotated, Final

from aiohttp import web
from pydantic import AfterValidator, BaseModel, ConfigDict

from tocsin.channels import CHANNELS
from tocsin.clients.oncall import ONCALL
from tocsin.contracts.oncall import ZONES, Schedule, Weekday, start_in_calendar
from tocsin.kernel.errors import NotFoundError, RejectedError
from tocsin.kernel.requests import parse_query
from tocsin.web import forms, rota, service, templating, visitor
from tocsin.web.rota_form import MAX_FIELDS, ScheduleForm, UnusableFormError, schedule_of

BLOCKS: Final = ("notices", "head", "teams", "schedule")
NOT_FOUND: Final = 404
UNPROCESSABLE: Final = 422
NEW: Final = "new"


class RotaQuery(BaseModel):
    """What the picture shows."""

    model_config = ConfigDict(extra="forbid")

    team: str | None = None
    begin: Annotated[date, AfterValidator(start_in_calendar)] | None = None
    """Its first day; this week's Monday by default."""


async def get_oncall(request: web.Request) -> web.Response:
    """Show who is on call, and two weeks of one team."""
    query = parse_query(request, RotaQuery)
    question = rota.see_rota(request.app, team=query.team, first=query.begin, name=visitor.of(request).name)
    seen, waiting = await service.beside_waiting(request.app, question)
    return templating.render(request, "oncall.html", blocks=BLOCKS, context={"rota": seen, "waiting": waiting})


async def get_schedule(request: web.Request) -> web.Response:
    """Show the form of a schedule: an empty one, or that of a team."""
    stored = await _stored(request)
    form = ScheduleForm.of(stored) if stored else ScheduleForm()
    return _show(request, stored, form.with_spare_rows())


async def post_schedule(request: web.Request) -> web.StreamResponse:
    """Make or change a schedule; or draw the form with more rows, as it is."""
    fields = await forms.read_form(request, max_fields=MAX_FIELDS)
    form = ScheduleForm.read(fields)
    stored = await _stored(request)
    if "more" in fields:
        return _show(request, stored, form.with_spare_rows())
    client = request.app[ONCALL]
    try:
        given = schedule_of(form, stored)
        if stored is None:
            key = forms.idempotency_key(fields, "schedule", given.model_dump_json())
            await client.create_schedule(given, idempotency_key=key)
        else:
            version = int(form.version) if form.version.isdecimal() else stored.version
            await client.replace_schedule(stored.id, given, version=version)
    except UnusableFormError as exc:
        return _show(request, stored, form, errors=exc.errors, status=UNPROCESSABLE)
    except RejectedError as exc:
        return _show(request, stored, form, errors={"": str(exc)}, status=exc.status)
    return forms.see_other(str(request.app.router["oncall"].url_for().with_query(team=given.team)))


async def _stored(request: web.Request) -> Schedule | None:
    """Return the schedule that is to be changed; None for a new one. Raise NotFoundError."""
    given = request.match_info["schedule"]
    if given == NEW:
        return None
    try:
        return await request.app[ONCALL].schedule(given)
    except RejectedError as exc:
        raise NotFoundError(str(exc)) from exc


def _show(
    request: web.Request,
    stored: Schedule | None,
    form: ScheduleForm,
    *,
    errors: dict[str, str] | None = None,
    status: int = 200,
) -> web.Response:
    context = {
        "stored": stored,
        "form": form,
        "errors": errors or {},
        "key": forms.new_key(),
        "zones": sorted(ZONES),
        "weekdays": list(Weekday),
        "channels": list(CHANNELS),
    }
    return templating.render(request, "schedule.html", blocks=("main",), context=context, status=status)
