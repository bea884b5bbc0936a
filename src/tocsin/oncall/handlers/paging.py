"""HTTP handlers of who is on call and who is paged."""

from http import HTTPStatus
from uuid import UUID

from aiohttp import web

from tocsin.contracts.boards import OnCallBoard, OnCallListing
from tocsin.contracts.escalations import (
    DeliveryFailed,
    Escalate,
    Escalation,
    Escalations,
    QueryRunning,
    RunningEscalations,
    StartedEscalation,
    StartEscalation,
    StopEscalation,
)
from tocsin.contracts.oncall import OnCall, Upcoming
from tocsin.contracts.overview import OnCallOverview
from tocsin.kernel.auth import PRINCIPAL, actor_of
from tocsin.kernel.errors import NotFoundError
from tocsin.kernel.openapi import describes
from tocsin.kernel.requests import idempotent_request, parse_body, parse_query
from tocsin.oncall.handlers.responses import respond_to
from tocsin.oncall.queries import BoardQuery, CurrentQuery, EscalationsQuery, OverviewQuery, StartQuery, UpcomingQuery
from tocsin.oncall.service import DEPS, boards, escalations, next_step, pager_load, shifts

KEY = ("Idempotency-Key",)


@describes(OnCall, query=CurrentQuery, problems=(HTTPStatus.NOT_FOUND,))
async def get_current(request: web.Request) -> web.Response:
    """Return who is on call for a team, now or `at` another instant, and until when.

    404 for an unknown team names the teams that exist.
    """
    query = parse_query(request, CurrentQuery)
    return await respond_to(request, await shifts.get_current(request.app[DEPS], query.team, at=query.at))


@describes(Upcoming, query=UpcomingQuery, problems=(HTTPStatus.NOT_FOUND,))
async def get_upcoming(request: web.Request) -> web.Response:
    """List a team's shifts of the coming days, or from `since` on, with their actual start and end."""
    query = parse_query(request, UpcomingQuery)
    return await respond_to(
        request, await shifts.list_upcoming(request.app[DEPS], query.team, days=query.days, since=query.since)
    )


@describes(
    {HTTPStatus.CREATED: Escalation},
    body=Escalate,
    problems=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
    headers=(*KEY, "X-Actor"),
)
async def post_escalate(request: web.Request) -> web.Response:
    """Page the next level of an incident now, or the first level of another team.

    404 if paging was never started for the incident or the team does not exist; 409 once paging has stopped.
    """
    given = await parse_body(request, Escalate)
    escalation = await next_step.escalate(
        request.app[DEPS], given, actor=actor_of(request, given.actor), request=await idempotent_request(request)
    )
    return await respond_to(request, escalation, status=HTTPStatus.CREATED)


@describes(StartedEscalation, body=StartEscalation, query=StartQuery, headers=KEY, internal=True)
async def post_escalation(request: web.Request) -> web.Response:
    """Start paging for an incident, and return who is paged.

    An incident has one escalation: a repeat is a no-op. With `resume`, one that was stopped pages its next level.
    """
    query = parse_query(request, StartQuery)
    given = await parse_body(request, StartEscalation)
    started = await escalations.start(
        request.app[DEPS],
        given,
        request=await idempotent_request(request),
        report_to_timeline=query.timeline == "report",
    )
    return await respond_to(request, started)


@describes(RunningEscalations, body=QueryRunning, internal=True)
async def post_running(request: web.Request) -> web.Response:
    """Return those of up to 1,000 incidents whose escalation is running."""
    return await respond_to(
        request, await escalations.find_running(request.app[DEPS], await parse_body(request, QueryRunning))
    )


@describes(Escalation, body=StopEscalation, problems=(HTTPStatus.NOT_FOUND,), headers=KEY, internal=True)
async def post_stop(request: web.Request) -> web.Response:
    """Stop paging for an incident and cancel its undelivered pages, even if the start has not arrived yet."""
    incident_id = _incident_id(request)
    given = await parse_body(request, StopEscalation)
    given = given.model_copy(update={"actor": actor_of(request, given.actor)})
    return await respond_to(
        request,
        await escalations.stop(request.app[DEPS], incident_id, given, request=await idempotent_request(request)),
    )


@describes(Escalation, body=DeliveryFailed, problems=(HTTPStatus.NOT_FOUND,), headers=KEY, internal=True)
async def post_delivery_failed(request: web.Request) -> web.Response:
    """Record that a page cannot be delivered; once all pages of the latest step have failed, page the next level."""
    incident_id = _incident_id(request)
    given = await parse_body(request, DeliveryFailed)
    return await respond_to(
        request,
        await next_step.record_delivery_failure(
            request.app[DEPS], incident_id, given, request=await idempotent_request(request)
        ),
    )


@describes(Escalation, problems=(HTTPStatus.NOT_FOUND,))
async def get_escalation(request: web.Request) -> web.Response:
    """Return the escalation of an incident: its level, its pages with their reasons, and the next action."""
    return await respond_to(request, await escalations.get(request.app[DEPS], _incident_id(request)))


@describes(Escalations, query=EscalationsQuery)
async def list_escalations(request: web.Request) -> web.Response:
    """Return the escalations of up to 150 incidents, without incidents that have none."""
    query = parse_query(request, EscalationsQuery)
    return await respond_to(request, Escalations(items=await escalations.find(request.app[DEPS], query.incident_id)))


@describes(OnCallBoard, query=BoardQuery, internal=True)
async def get_board(request: web.Request) -> web.Response:
    """Return who is on call in each of the newest teams, and the escalations of up to 150 incidents."""
    return await respond_to(request, await boards.get_board(request.app[DEPS], parse_query(request, BoardQuery)))


@describes(OnCallListing, query=BoardQuery, internal=True)
async def get_listing(request: web.Request) -> web.Response:
    """Return the newest schedules, and the escalations of up to 150 incidents."""
    return await respond_to(
        request, await boards.get_listing(request.app[DEPS], parse_query(request, BoardQuery), request[PRINCIPAL])
    )


@describes(OnCallOverview, query=OverviewQuery)
async def get_overview(request: web.Request) -> web.Response:
    """Return the pager load: pages by person and at night, and how far escalations went; also for the range before.

    Covers whole days: by default the last 30, at most 366. The pages of one person in one step count once, whatever the
    channels. Night is from 22:00 to 07:00 local time of the team's schedule, and belongs to the day on which it began.
    """
    query = parse_query(request, OverviewQuery)
    return await respond_to(
        request, await pager_load.get_overview(request.app[DEPS], since=query.since, until=query.until, team=query.team)
    )


def _incident_id(request: web.Request) -> UUID:
    """Return the incident id in the path. Raise NotFoundError if it is not a UUID, such as an incident's number."""
    given = request.match_info["incident_id"]
    try:
        return UUID(given)
    except ValueError as exc:
        msg = f"{given[:64]!r} is not the id of an incident (a UUID). GET /api/v1/incidents lists the ids."
        raise NotFoundError(msg) from exc
