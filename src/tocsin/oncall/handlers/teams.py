"""HTTP handlers of teams: their schedules and people."""

from http import HTTPStatus

from aiohttp import web

from tocsin.channels import CHANNELS
from tocsin.contracts.model import Page
from tocsin.contracts.oncall import Schedule, ScheduleIn
from tocsin.contracts.people import ChangePerson, MembershipIn, Person, PersonIn, Team
from tocsin.kernel.auth import PRINCIPAL
from tocsin.kernel.errors import InvalidRequestError
from tocsin.kernel.openapi import describes
from tocsin.kernel.pagination import ListQuery
from tocsin.kernel.requests import idempotent_request, if_match, parse_body, parse_query, path_uuid
from tocsin.kernel.validation import MAX_ERRORS
from tocsin.oncall.handlers.responses import respond_to
from tocsin.oncall.queries import PeopleQuery, TeamsQuery
from tocsin.oncall.service import DEPS, people, schedules

KEY = ("Idempotency-Key",)


@describes({HTTPStatus.CREATED: Schedule}, body=ScheduleIn, problems=(HTTPStatus.CONFLICT,), headers=KEY)
async def post_schedule(request: web.Request) -> web.Response:
    """Create a team with its schedule.

    Primaries rotate among themselves, and so do secondaries. With the default `start` the index of the person on call
    is the number of the ISO week (daily: of the day of the year) modulo the number of people. 409 if the team exists or
    another team owns one of the services.
    """
    given = await _parse_schedule(request)
    created = await schedules.create(
        request.app[DEPS], given, by=request[PRINCIPAL], request=await idempotent_request(request)
    )
    location = request.app.router["schedule"].url_for(schedule_id=str(created.id))
    return await respond_to(request, created, status=HTTPStatus.CREATED, headers={"Location": str(location)})


@describes(Page[Schedule], query=ListQuery)
async def list_schedules(request: web.Request) -> web.Response:
    """List the teams and their schedules, newest first."""
    return await respond_to(
        request, await schedules.list_page(request.app[DEPS], parse_query(request, ListQuery), request[PRINCIPAL])
    )


@describes(Schedule, problems=(HTTPStatus.NOT_FOUND,))
async def get_schedule(request: web.Request) -> web.Response:
    """Return a schedule."""
    return await respond_to(
        request, await schedules.get(request.app[DEPS], path_uuid(request, "schedule_id"), request[PRINCIPAL])
    )


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
    return await respond_to(
        request, await schedules.replace(request.app[DEPS], schedule_id, given, by=request[PRINCIPAL], version=version)
    )


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
    return await respond_to(
        request, await people.list_people(request.app[DEPS], parse_query(request, PeopleQuery), request[PRINCIPAL])
    )


@describes({HTTPStatus.CREATED: Person}, body=PersonIn, problems=(HTTPStatus.CONFLICT,), headers=KEY)
async def post_person(request: web.Request) -> web.Response:
    """Add a person. 409 if another one has the e-mail address."""
    given = await parse_body(request, PersonIn)
    added = await people.add_person(
        request.app[DEPS], given, by=request[PRINCIPAL], request=await idempotent_request(request)
    )
    location = request.app.router["person"].url_for(person_id=str(added.id))
    return await respond_to(request, added, status=HTTPStatus.CREATED, headers={"Location": str(location)})


@describes(Person, problems=(HTTPStatus.NOT_FOUND,))
async def get_person(request: web.Request) -> web.Response:
    """Return a person."""
    return await respond_to(request, await people.get_person(request.app[DEPS], path_uuid(request, "person_id")))


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
    return await respond_to(
        request,
        await people.change_person(request.app[DEPS], person_id, change, by=request[PRINCIPAL], version=version),
    )


@describes(Person, problems=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT))
async def delete_person(request: web.Request) -> web.Response:
    """Delete a person. 409 if a schedule names them."""
    return await respond_to(
        request, await people.delete_person(request.app[DEPS], path_uuid(request, "person_id"), by=request[PRINCIPAL])
    )


@describes(Page[Team], query=TeamsQuery)
async def list_teams(request: web.Request) -> web.Response:
    """List the teams with their people and services, newest first."""
    return await respond_to(request, await people.list_teams(request.app[DEPS], parse_query(request, TeamsQuery)))


@describes(Team, problems=(HTTPStatus.NOT_FOUND,))
async def get_team(request: web.Request) -> web.Response:
    """Return a team with its people and services."""
    return await respond_to(request, await people.get_team(request.app[DEPS], path_uuid(request, "team_id")))


@describes(Team, body=MembershipIn, problems=(HTTPStatus.NOT_FOUND,))
async def put_membership(request: web.Request) -> web.Response:
    """Add a person to a team, or change their role there."""
    team_id, person_id = path_uuid(request, "team_id"), path_uuid(request, "person_id")
    given = await parse_body(request, MembershipIn)
    return await respond_to(
        request, await people.join_team(request.app[DEPS], team_id, person_id, given.role, by=request[PRINCIPAL])
    )


@describes(Team, problems=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT))
async def delete_membership(request: web.Request) -> web.Response:
    """Remove a person from a team. 409 if the team's schedule names them."""
    team_id, person_id = path_uuid(request, "team_id"), path_uuid(request, "person_id")
    return await respond_to(
        request, await people.leave_team(request.app[DEPS], team_id, person_id, by=request[PRINCIPAL])
    )
