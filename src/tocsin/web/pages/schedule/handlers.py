"""Create and change a schedule."""

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from tocsin.clients.oncall import ONCALL
from tocsin.kernel.errors import ForbiddenError, RejectedError, UpstreamError
from tocsin.web.pages.schedule.loader import load_schedule
from tocsin.web.pages.schedule.schedule_form import MAX_FIELDS, InvalidFormError, ScheduleForm, schedule_of
from tocsin.web.pages.schedule.view import ScheduleData, schedule_view
from tocsin.web.ui import forms, preferences, templating

FORBIDDEN: Final = 403
UNPROCESSABLE: Final = 422
UNAVAILABLE: Final = 503


async def get_schedule(request: web.Request) -> web.Response:
    """Show the form: an empty one, or that of a team."""
    data = await load_schedule(request.app, request.match_info["schedule"])
    _require_manager(request, data)
    form = ScheduleForm.of(data.stored) if data.stored else ScheduleForm()
    return _show(request, data, form.with_spare_rows())


async def post_schedule(request: web.Request) -> web.StreamResponse:
    """Create or change a schedule, or show the form with more rows."""
    fields = await forms.read_form(request, max_fields=MAX_FIELDS)
    form = ScheduleForm.read(fields)
    data = ScheduleData(request.match_info["schedule"], None)
    try:
        data = await load_schedule(request.app, data.schedule_id)
        _require_manager(request, data)
        if "more" in fields:
            return _show(request, data, form.with_spare_rows())
        client, stored = request.app[ONCALL], data.stored
        given = schedule_of(form, stored)
        if stored is None:
            key = forms.idempotency_key(fields, "schedule", given.model_dump_json())
            await client.create_schedule(given, idempotency_key=key)
        else:
            version = int(form.version) if form.version.isdecimal() else stored.version
            await client.replace_schedule(stored.id, given, version=version)
    except InvalidFormError as exc:
        return _show(request, data, form, errors=exc.errors, status=UNPROCESSABLE)
    except RejectedError as exc:
        if exc.status == FORBIDDEN:
            raise ForbiddenError(str(exc)) from exc
        return _show(request, data, form, errors={"": str(exc)}, status=exc.status)
    except UpstreamError as exc:
        detail = f"It may or may not have been saved: {exc} Save again; your entries are kept."
        return _show(request, data, form, errors={"": detail}, key=fields.get("key"), status=UNAVAILABLE)
    return forms.see_other(str(request.app.router["oncall"].url_for().with_query(team=given.team)))


def _require_manager(request: web.Request, data: ScheduleData) -> None:
    """Raise ForbiddenError unless the visitor may change the schedule: others see no form, as addresses are masked."""
    visitor = preferences.of(request)
    if data.stored is None:
        if not visitor.may_create_teams:
            msg = "Only admins may create a team with its schedule."
            raise ForbiddenError(msg)
    elif not (visitor.may_manage and data.stored.may_manage):
        msg = f"Only the managers of {data.stored.team} and admins may change its schedule."
        raise ForbiddenError(msg)


def _show(
    request: web.Request,
    data: ScheduleData,
    form: ScheduleForm,
    *,
    errors: Mapping[str, str] | None = None,
    key: str | None = None,
    status: int = 200,
) -> web.Response:
    context = {"view": schedule_view(data, form, errors), "key": key or forms.new_key()}
    return templating.render(request, "pages/schedule/page.html", blocks=("main",), context=context, status=status)
