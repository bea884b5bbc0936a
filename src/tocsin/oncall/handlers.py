"""Requests in, answers out."""

from http import HTTPStatus

from aiohttp import web

from tocsin.channels import CHANNELS
from tocsin.contracts.model import Page
from tocsin.contracts.oncall import (
    DeliveryFailed,
    Escalate,
    Escalation,
    Escalations,
    OnCall,
    Schedule,
    ScheduleIn,
    StartEscalation,
    StopEscalation,
    Upcoming,
)
from tocsin.contracts.overview import OnCallOverview
from tocsin.kernel.db import DB
from tocsin.kernel.errors import InvalidRequestError
from tocsin.kernel.openapi import describes
from tocsin.kernel.pagination import ListQuery
from tocsin.kernel.requests import (
    MAX_ERRORS,
    actor_of,
    idempotent_request,
    if_match,
    parse_body,
    parse_query,
    path_uuid,
)
from tocsin.kernel.responses import respond
from tocsin.oncall.queries import CurrentQuery, EscalationsQuery, OverviewQuery, UpcomingQuery
from tocsin.oncall.service import overview, schedules
from tocsin.oncall.service.escalations import PAGER

KEY = ("Idempotency-Key",)


async def _parse_schedule(request: web.Request) -> ScheduleIn:
    """Return the body as a schedule whose contacts can be reached. Raise InvalidRequestError."""
    given = await parse_body(request, ScheduleIn)
    errors = [
        error
        for number, member in enumerate(given.members)
        for index, contact in enumerate(member.contacts)
        for error in CHANNELS.contact_errors(
            contact.channel, contact.address, pointer=f"#/members/{number}/contacts/{index}"
        )
    ]
    if errors:
        raise InvalidRequestError(errors[:MAX_ERRORS])
    return given


@describes({HTTPStatus.CREATED: Schedule}, body=ScheduleIn, problems=(HTTPStatus.CONFLICT,), headers=KEY)
async def post_schedule(request: web.Request) -> web.Response:
    """Create a team and its rotation.

    Primaries take turns among themselves, and so do secondaries: with the default `start` the index is the number of
    the ISO week (daily: of the day) modulo their number. A team that exists, and a service that another team owns, are
    refused with 409.
    """
    given = await _parse_schedule(request)
    created = await schedules.create(request.app[DB], given, request=await idempotent_request(request))
    request.app[schedules.SCHEDULES_CHANGED].set()
    location = request.app.router["schedule"].url_for(schedule_id=str(created.id))
    return respond(created, status=HTTPStatus.CREATED, headers={"Location": str(location)})


@describes(Page[Schedule], query=ListQuery)
async def list_schedules(request: web.Request) -> web.Response:
    """List the teams and their rotations, newest first."""
    return respond(await schedules.list_page(request.app[DB], parse_query(request, ListQuery)))


@describes(Schedule, problems=(HTTPStatus.NOT_FOUND,))
async def get_schedule(request: web.Request) -> web.Response:
    """Return one schedule."""
    return respond(await schedules.get(request.app[DB], path_uuid(request, "schedule_id")))


@describes(
    Schedule,
    body=ScheduleIn,
    problems=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED),
    headers=("If-Match",),
)
async def put_schedule(request: web.Request) -> web.Response:
    """Put another rotation in the place of a team's; the team keeps its name.

    Without `start` turns are counted anew; with the `start` that is shown they go on as they were. With `If-Match` (the
    `version` that is shown), a change that somebody else's has overtaken is refused with 412.
    """
    schedule_id, version = path_uuid(request, "schedule_id"), if_match(request)
    given = await _parse_schedule(request)
    changed = await schedules.replace(request.app[DB], schedule_id, given, version=version)
    request.app[schedules.SCHEDULES_CHANGED].set()
    return respond(changed)


@describes(OnCall, query=CurrentQuery, problems=(HTTPStatus.NOT_FOUND,))
async def get_current(request: web.Request) -> web.Response:
    """Say who is on call for a team, now or `at` another instant, and until when."""
    query = parse_query(request, CurrentQuery)
    return respond(await schedules.current(request.app[DB], query.team, at=query.at))


@describes(Upcoming, query=UpcomingQuery, problems=(HTTPStatus.NOT_FOUND,))
async def get_upcoming(request: web.Request) -> web.Response:
    """List a team's turns of the coming days, or of those after `since`, with their true start and end."""
    query = parse_query(request, UpcomingQuery)
    return respond(await schedules.upcoming(request.app[DB], query.team, days=query.days, since=query.since))


@describes(
    {HTTPStatus.CREATED: Escalation},
    body=Escalate,
    problems=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
    headers=(*KEY, "X-Actor"),
)
async def post_escalate(request: web.Request) -> web.Response:
    """Page the next level of an incident now, or the first level of another team.

    404 where nobody was ever paged for the incident or there is no such team; 409 once somebody has answered.
    """
    given = await parse_body(request, Escalate)
    answer = await request.app[PAGER].escalate(
        given, actor=actor_of(request, given.actor), request=await idempotent_request(request)
    )
    return respond(answer, status=HTTPStatus.CREATED)


@describes(Escalation, body=StartEscalation, headers=KEY, internal=True)
async def post_escalation(request: web.Request) -> web.Response:
    """Page for an incident until somebody answers, and say who is paged.

    There is one escalation per incident: a repeat changes nothing.
    """
    given = await parse_body(request, StartEscalation)
    return respond(await request.app[PAGER].start(given, request=await idempotent_request(request)))


@describes(Escalation, body=StopEscalation, problems=(HTTPStatus.NOT_FOUND,), headers=KEY, internal=True)
async def post_stop(request: web.Request) -> web.Response:
    """Page no more for an incident and withdraw what has not gone out, even if the start has not arrived yet."""
    incident_id = path_uuid(request, "incident_id")
    given = await parse_body(request, StopEscalation)
    return respond(await request.app[PAGER].stop(incident_id, given, request=await idempotent_request(request)))


@describes(Escalation, body=DeliveryFailed, problems=(HTTPStatus.NOT_FOUND,), headers=KEY, internal=True)
async def post_delivery_failed(request: web.Request) -> web.Response:
    """Learn that a page will never arrive: once no page of the latest step can, the next level is paged now."""
    incident_id = path_uuid(request, "incident_id")
    given = await parse_body(request, DeliveryFailed)
    return respond(
        await request.app[PAGER].delivery_failed(incident_id, given, request=await idempotent_request(request))
    )


@describes(Escalation, problems=(HTTPStatus.NOT_FOUND,))
async def get_escalation(request: web.Request) -> web.Response:
    """Return how far the paging for an incident has come: level, next action, when and whom; who was paged and why."""
    return respond(await request.app[PAGER].get(path_uuid(request, "incident_id")))


@describes(Escalations, query=EscalationsQuery)
async def list_escalations(request: web.Request) -> web.Response:
    """Return the escalations of up to 150 incidents; one without any is missing."""
    query = parse_query(request, EscalationsQuery)
    return respond(Escalations(items=await request.app[PAGER].find(query.incident_id)))


@describes(OnCallOverview, query=OverviewQuery)
async def get_overview(request: web.Request) -> web.Response:
    """Say what being on call was like: pages by person and at night, how far paging went, beside the time before.

    By default of the last 30 days, at most of 366, whole days. What went to a person in one step counts once, whatever
    the channels. Night is from 22:00 to 07:00 by the clock of the team's schedule; a person's day ends with its night.
    """
    return respond(await overview.look_over(request.app[DB], parse_query(request, OverviewQuery)))
