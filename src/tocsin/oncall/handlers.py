"""HTTP handlers of oncall-service."""

from http import HTTPStatus
from uuid import UUID

from aiohttp import web

from tocsin.channels import CHANNELS
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
from tocsin.contracts.model import Page
from tocsin.contracts.oncall import OnCall, Schedule, ScheduleIn, Upcoming
from tocsin.contracts.overview import OnCallOverview
from tocsin.contracts.people import ChangePerson, MembershipIn, Person, PersonIn, Team
from tocsin.kernel.auth import actor_of
from tocsin.kernel.errors import InvalidRequestError, NotFoundError
from tocsin.kernel.openapi import describes
from tocsin.kernel.pagination import ListQuery
from tocsin.kernel.requests import idempotent_request, if_match, parse_body, parse_query, path_uuid
from tocsin.kernel.responses import respond
from tocsin.kernel.validation import MAX_ERRORS
from tocsin.oncall.queries import (
    BoardQuery,
    CurrentQuery,
    EscalationsQuery,
    OverviewQuery,
    PeopleQuery,
    StartQuery,
    TeamsQuery,
    UpcomingQuery,
)
from tocsin.oncall.service import DEPS, boards, escalations, next_step, pager_load, people, schedules, shifts

KEY = ("Idempotency-Key",)


@describes({HTTPStatus.CREATED: Schedule}, body=ScheduleIn, problems=(HTTPStatus.CONFLICT,), headers=KEY)
async def post_schedule(request: web.Request) -> web.Response:
    """Create a team with its schedule.

    Primaries rotate among themselves, and so do secondaries. With the default `start` the index of the person on call
    is the number of the ISO week (daily: of the day of the year) modulo the number of people. 409 if the team exists or
    another team owns one of the services.
    """
    given = await _parse_schedule(request)
    created = await schedules.create(request.app[DEPS], given, request=await idempotent_request(request))
    location = request.app.router["schedule"].url_for(schedule_id=str(created.id))
    return respond(created, status=HTTPStatus.CREATED, headers={"Location": str(location)})


@describes(Page[Schedule], query=ListQuery)
async def list_schedules(request: web.Request) -> web.Response:
    """List the teams and their schedules, newest first."""
    return respond(await schedules.list_page(request.app[DEPS], parse_query(request, ListQuery)))


@describes(Schedule, problems=(HTTPStatus.NOT_FOUND,))
async def get_schedule(request: web.Request) -> web.Response:
    """Return a schedule."""
    return respond(await schedules.get(request.app[DEPS], path_uuid(request, "schedule_id")))


@describes(
    Schedule,
    body=ScheduleIn,
    problems=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED),
    headers=("If-Match",),
)
async def put_schedule(request: web.Request) -> web.Response:
    """Replace a team's schedule; the name of the team cannot change.

    With the `start` of the current schedule the rotation continues unchanged; without `start` it is anchored anew. With
    `If-Match`, the request fails with 412 unless it names the current `version`.
    """
    schedule_id, version = path_uuid(request, "schedule_id"), if_match(request)
    given = await _parse_schedule(request)
    return respond(await schedules.replace(request.app[DEPS], schedule_id, given, version=version))


async def _parse_schedule(request: web.Request) -> ScheduleIn:
    """Return the body as a schedule whose contacts are valid for their channels. Raise InvalidRequestError."""
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


@describes(Page[Person], query=PeopleQuery)
async def list_people(request: web.Request) -> web.Response:
    """List the people with their teams, newest first. The members of every schedule are among them."""
    return respond(await people.list_people(request.app[DEPS], parse_query(request, PeopleQuery)))


@describes({HTTPStatus.CREATED: Person}, body=PersonIn, problems=(HTTPStatus.CONFLICT,), headers=KEY)
async def post_person(request: web.Request) -> web.Response:
    """Add a person. 409 if another one has the e-mail address."""
    given = await parse_body(request, PersonIn)
    added = await people.add_person(request.app[DEPS], given, request=await idempotent_request(request))
    location = request.app.router["person"].url_for(person_id=str(added.id))
    return respond(added, status=HTTPStatus.CREATED, headers={"Location": str(location)})


@describes(Person, problems=(HTTPStatus.NOT_FOUND,))
async def get_person(request: web.Request) -> web.Response:
    """Return a person."""
    return respond(await people.get_person(request.app[DEPS], path_uuid(request, "person_id")))


@describes(
    Person,
    body=ChangePerson,
    problems=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED),
    headers=("If-Match",),
)
async def patch_person(request: web.Request) -> web.Response:
    """Change a person's name or e-mail address. 409 if a schedule names the present address."""
    person_id, version = path_uuid(request, "person_id"), if_match(request)
    change = await parse_body(request, ChangePerson)
    return respond(await people.change_person(request.app[DEPS], person_id, change, version=version))


@describes(Person, problems=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT))
async def delete_person(request: web.Request) -> web.Response:
    """Delete a person. 409 if a schedule names them."""
    return respond(await people.delete_person(request.app[DEPS], path_uuid(request, "person_id")))


@describes(Page[Team], query=TeamsQuery)
async def list_teams(request: web.Request) -> web.Response:
    """List the teams with their people and services, newest first."""
    return respond(await people.list_teams(request.app[DEPS], parse_query(request, TeamsQuery)))


@describes(Team, problems=(HTTPStatus.NOT_FOUND,))
async def get_team(request: web.Request) -> web.Response:
    """Return a team with its people and services."""
    return respond(await people.get_team(request.app[DEPS], path_uuid(request, "team_id")))


@describes(Team, body=MembershipIn, problems=(HTTPStatus.NOT_FOUND,))
async def put_membership(request: web.Request) -> web.Response:
    """Add a person to a team, or change their role there."""
    team_id, person_id = path_uuid(request, "team_id"), path_uuid(request, "person_id")
    given = await parse_body(request, MembershipIn)
    return respond(await people.join_team(request.app[DEPS], team_id, person_id, given.role))


@describes(Team, problems=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT))
async def delete_membership(request: web.Request) -> web.Response:
    """Remove a person from a team. 409 if the team's schedule names them."""
    team_id, person_id = path_uuid(request, "team_id"), path_uuid(request, "person_id")
    return respond(await people.leave_team(request.app[DEPS], team_id, person_id))


@describes(OnCall, query=CurrentQuery, problems=(HTTPStatus.NOT_FOUND,))
async def get_current(request: web.Request) -> web.Response:
    """Return who is on call for a team, now or `at` another instant, and until when.

    404 for an unknown team names the teams that exist.
    """
    query = parse_query(request, CurrentQuery)
    return respond(await shifts.get_current(request.app[DEPS], query.team, at=query.at))


@describes(Upcoming, query=UpcomingQuery, problems=(HTTPStatus.NOT_FOUND,))
async def get_upcoming(request: web.Request) -> web.Response:
    """List a team's shifts of the coming days, or from `since` on, with their actual start and end."""
    query = parse_query(request, UpcomingQuery)
    return respond(await shifts.list_upcoming(request.app[DEPS], query.team, days=query.days, since=query.since))


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
    return respond(escalation, status=HTTPStatus.CREATED)


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
    return respond(started)


@describes(RunningEscalations, body=QueryRunning, internal=True)
async def post_running(request: web.Request) -> web.Response:
    """Return those of up to 1,000 incidents whose escalation is running."""
    return respond(await escalations.find_running(request.app[DEPS], await parse_body(request, QueryRunning)))


@describes(Escalation, body=StopEscalation, problems=(HTTPStatus.NOT_FOUND,), headers=KEY, internal=True)
async def post_stop(request: web.Request) -> web.Response:
    """Stop paging for an incident and cancel its undelivered pages, even if the start has not arrived yet."""
    incident_id = _incident_id(request)
    given = await parse_body(request, StopEscalation)
    given = given.model_copy(update={"actor": actor_of(request, given.actor)})
    return respond(
        await escalations.stop(request.app[DEPS], incident_id, given, request=await idempotent_request(request))
    )


@describes(Escalation, body=DeliveryFailed, problems=(HTTPStatus.NOT_FOUND,), headers=KEY, internal=True)
async def post_delivery_failed(request: web.Request) -> web.Response:
    """Record that a page cannot be delivered; once all pages of the latest step have failed, page the next level."""
    incident_id = _incident_id(request)
    given = await parse_body(request, DeliveryFailed)
    return respond(
        await next_step.record_delivery_failure(
            request.app[DEPS], incident_id, given, request=await idempotent_request(request)
        )
    )


@describes(Escalation, problems=(HTTPStatus.NOT_FOUND,))
async def get_escalation(request: web.Request) -> web.Response:
    """Return the escalation of an incident: its level, its pages with their reasons, and the next action."""
    return respond(await escalations.get(request.app[DEPS], _incident_id(request)))


@describes(Escalations, query=EscalationsQuery)
async def list_escalations(request: web.Request) -> web.Response:
    """Return the escalations of up to 150 incidents, without incidents that have none."""
    query = parse_query(request, EscalationsQuery)
    return respond(Escalations(items=await escalations.find(request.app[DEPS], query.incident_id)))


@describes(OnCallBoard, query=BoardQuery, internal=True)
async def get_board(request: web.Request) -> web.Response:
    """Return who is on call in each of the newest teams, and the escalations of up to 150 incidents."""
    return respond(await boards.get_board(request.app[DEPS], parse_query(request, BoardQuery)))


@describes(OnCallListing, query=BoardQuery, internal=True)
async def get_listing(request: web.Request) -> web.Response:
    """Return the newest schedules, and the escalations of up to 150 incidents."""
    return respond(await boards.get_listing(request.app[DEPS], parse_query(request, BoardQuery)))


@describes(OnCallOverview, query=OverviewQuery)
async def get_overview(request: web.Request) -> web.Response:
    """Return the pager load: pages by person and at night, and how far escalations went; also for the range before.

    Covers whole days: by default the last 30, at most 366. The pages of one person in one step count once, whatever the
    channels. Night is from 22:00 to 07:00 local time of the team's schedule, and belongs to the day on which it began.
    """
    query = parse_query(request, OverviewQuery)
    return respond(
        await pager_load.get_overview(request.app[DEPS], since=query.since, until=query.until, team=query.team)
    )


def _incident_id(request: web.Request) -> UUID:
    """Return the incident id in the path. Raise NotFoundError if it is not a UUID, such as an incident's number."""
    given = request.match_info["incident_id"]
    try:
        return UUID(given)
    except ValueError as exc:
        msg = f"{given[:64]!r} is not the id of an incident (a UUID). GET /api/v1/incidents lists the ids."
        raise NotFoundError(msg) from exc
