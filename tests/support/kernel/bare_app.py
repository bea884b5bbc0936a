"""An application with nothing but the kernel's own, and handlers that do what a test needs."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated

from aiohttp import web
from pydantic import Field

from tocsin.contracts.model import Instant, Labels, Model, Text
from tocsin.kernel import errors, requests
from tocsin.kernel.auth import actor_of
from tocsin.kernel.openapi import describes
from tocsin.kernel.pagination import ListQuery
from tocsin.kernel.principal import Scope
from tocsin.kernel.responses import respond
from tocsin.kernel.routing import get, post


class Inner(Model):
    count: int


class ThingIn(Model):
    """A request body."""

    name: Annotated[Text, Field(min_length=1, max_length=20)]
    size: int = 0
    at: Instant | None = None
    labels: Labels = Field(default_factory=dict)
    inner: list[Inner] = Field(default_factory=list)


class Thing(Model):
    """A response body."""

    id: str
    name: str
    actor: str
    key: str | None = None
    version: int | None = None


class ThingsQuery(ListQuery):
    name: str | None = None
    tag: list[str] | None = None


@describes(
    {HTTPStatus.CREATED: Thing}, body=ThingIn, problems=(HTTPStatus.CONFLICT,), headers=("Idempotency-Key", "X-Actor")
)
async def post_thing(request: web.Request) -> web.Response:
    """Make a thing.

    At length.
    """
    thing = await requests.parse_body(request, ThingIn)
    made = Thing(
        id="1",
        name=thing.name,
        actor=actor_of(request),
        key=requests.idempotency_key(request),
        version=requests.if_match(request),
    )
    return respond(made, status=HTTPStatus.CREATED, headers={"Location": "/api/v1/things/1"})


@describes(Thing, query=ThingsQuery)
async def list_things(request: web.Request) -> web.Response:
    """List things."""
    return web.json_response(requests.parse_query(request, ThingsQuery).model_dump())


@describes(Thing, problems=(HTTPStatus.NOT_FOUND,), internal=True)
async def get_thing(request: web.Request) -> web.Response:
    """Return a thing."""
    return respond(Thing(id=str(requests.path_uuid(request, "thing_id")), name="x", actor="x"))


ERRORS: dict[str, Callable[[], Exception]] = {
    "forbidden": lambda: errors.ForbiddenError("You may not."),
    "not-found": lambda: errors.NotFoundError("No such thing."),
    "conflict": lambda: errors.ConflictError("It is resolved."),
    "stale": lambda: errors.StaleError("It has changed."),
    "unavailable": lambda: errors.UpstreamError("oncall-service cannot be reached."),
    "database": lambda: errors.DatabaseUnavailableError("The database does not answer."),
    "rejected": lambda: errors.RejectedError(404, "No such person."),
    "commit-lost": lambda: errors.CommitLostError("Swallowed."),
    "bug": lambda: RuntimeError("the password is hunter2"),
    "gone": web.HTTPGone,
    "redirect": lambda: web.HTTPFound("/elsewhere"),
}


async def get_error(request: web.Request) -> web.Response:
    error = ERRORS[request.match_info["name"]]()
    raise error


async def get_stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"one")
    await response.write_eof()
    return response


ROUTES = [
    post("/api/v1/things", post_thing, scope=Scope.READ),
    get("/api/v1/things", list_things, scope=Scope.READ),
    get("/api/v1/things/{thing_id}", get_thing, scope=Scope.READ),
    get("/errors/{name}", get_error, scope=Scope.READ),
    get("/stream", get_stream, scope=Scope.READ),
]
