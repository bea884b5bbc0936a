"""From requests to use cases and back."""

from contextlib import aclosing
from http import HTTPStatus
from typing import Final, TypeVar
from uuid import UUID

import structlog
from aiohttp import web
from aiohttp_sse import EventSourceResponse
from pydantic import BaseModel, ConfigDict

from tocsin.contracts.incidents import (
    AppendTimelineEntry,
    AskStates,
    ChangeIncident,
    CorrelateAlerts,
    Correlations,
    Incident,
    IncidentCounts,
    IncidentEvent,
    IncidentStates,
    IncidentSummary,
    OpenIncident,
    StatsSummary,
    TimelineEntry,
)
from tocsin.contracts.model import Page
from tocsin.contracts.overview import IncidentMetrics, StatsOverview
from tocsin.incidents.domain.position import Position
from tocsin.incidents.service import DESK, changes, correlation, overview, reading
from tocsin.incidents.service.overview import OverviewQuery
from tocsin.incidents.service.reading import CountsQuery, IncidentQuery, Reference, StatsQuery, TimelineQuery
from tocsin.incidents.service.stream import HUB
from tocsin.incidents.settings import SETTINGS
from tocsin.kernel.db import DB
from tocsin.kernel.errors import InvalidRequestError, NotFoundError
from tocsin.kernel.idempotency import IdempotentRequest
from tocsin.kernel.openapi import describes
from tocsin.kernel.requests import (
    INTERNAL_BODY_LIMIT,
    actor_of,
    idempotent_request,
    if_match,
    parse_body,
    parse_json,
    parse_query,
    read_body,
)
from tocsin.kernel.responses import respond

log = structlog.get_logger(__name__)
M = TypeVar("M", bound=BaseModel)
MAX_NUMBER_DIGITS: Final = 18
"""A number of more is none that an incident has; the database's end at 19 digits."""
NOT_FOUND: Final = (HTTPStatus.NOT_FOUND,)


class NoQuery(BaseModel):
    """Nothing to choose."""

    model_config = ConfigDict(extra="forbid")


class StreamQuery(NoQuery):
    """Where a stream goes on."""

    last_event_id: str | None = None
    """What `Last-Event-ID` says, for a browser's page: its `EventSource` cannot set the header of its first request."""


@describes({HTTPStatus.CREATED: Incident}, body=OpenIncident, headers=("Idempotency-Key", "X-Actor"))
async def post_incident(request: web.Request) -> web.Response:
    """Open an incident by hand.

    It is answered with whom it is assigned to, where on-call says so within a second.
    """
    given, claim = await _parse_claimed(request, OpenIncident)
    incident = await changes.open_incident(request.app[DESK], given, actor=actor_of(request, given.actor), claim=claim)
    location = {"Location": f"/api/v1/incidents/{incident.id}"}
    return respond(incident, status=HTTPStatus.CREATED, headers=location | _etag(incident))


@describes(Page[IncidentSummary], query=IncidentQuery)
async def list_incidents(request: web.Request) -> web.Response:
    """List incidents, newest first."""
    return respond(await reading.list_incidents(request.app[DB], parse_query(request, IncidentQuery)))


@describes(IncidentCounts, query=CountsQuery)
async def get_counts(request: web.Request) -> web.Response:
    """Count the incidents that are not resolved, by state."""
    return respond(await reading.count_incidents(request.app[DB], parse_query(request, CountsQuery)))


@describes(Incident, problems=NOT_FOUND)
async def get_incident(request: web.Request) -> web.Response:
    """Show an incident with its alerts, notes and timeline.

    The `ETag` is the version that `If-Match` of a PATCH compares: it covers what people edit, not attached alerts.
    """
    parse_query(request, NoQuery)
    incident = await reading.show_incident(request.app[DB], _reference(request))
    return respond(incident, headers=_etag(incident))


@describes(
    Incident,
    body=ChangeIncident,
    headers=("Idempotency-Key", "If-Match", "X-Actor"),
    problems=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED),
)
async def patch_incident(request: web.Request) -> web.Response:
    """Change an incident: its state, title, severity or assignee; add a note.

    `open` may go to any other state, `acknowledged` to `in_progress` or `resolved`, `in_progress` to `resolved`; the
    state it is in already changes nothing. With `If-Match`, a change that somebody else's has overtaken is refused.
    """
    reference = _reference(request)
    version = if_match(request)
    wanted, claim = await _parse_claimed(request, ChangeIncident)
    incident = await changes.change_incident(
        request.app[DESK], reference, wanted, actor=actor_of(request, wanted.actor), version=version, claim=claim
    )
    return respond(incident, headers=_etag(incident))


@describes(IncidentMetrics, problems=NOT_FOUND)
async def get_incident_metrics(request: web.Request) -> web.Response:
    """Say how long an incident took: MTTA, MTTR, and the time it was or is open."""
    parse_query(request, NoQuery)
    return respond(await reading.measure_incident(request.app[DB], _reference(request)))


@describes(Page[TimelineEntry], query=TimelineQuery, problems=NOT_FOUND)
async def list_timeline(request: web.Request) -> web.Response:
    """List what happened to an incident, newest first."""
    query = parse_query(request, TimelineQuery)
    return respond(await reading.list_timeline(request.app[DB], _reference(request), query))


@describes(
    {HTTPStatus.CREATED: TimelineEntry},
    body=AppendTimelineEntry,
    headers=("Idempotency-Key",),
    problems=NOT_FOUND,
    internal=True,
)
async def post_timeline(request: web.Request) -> web.Response:
    """Report what happened to an incident. A repeated event key has no effect."""
    reference = _reference(request)
    report, claim = await _parse_claimed(request, AppendTimelineEntry)
    entry = await changes.append_report(request.app[DESK], reference, report, claim=claim)
    return respond(entry, status=HTTPStatus.CREATED)


@describes(StatsSummary, query=StatsQuery)
async def get_stats_summary(request: web.Request) -> web.Response:
    """Sum up the incidents created in a window, by default of the last 30 days, at most of 366."""
    query = parse_query(request, StatsQuery)
    return respond(await reading.summarise(request.app[DB], since=query.since, until=query.until))


@describes(StatsOverview, query=OverviewQuery)
async def get_stats_overview(request: web.Request) -> web.Response:
    """Say how well it goes, by day or week: MTTA, MTTR, volume, the noisiest services, beside the time before.

    Read from figures that are seconds old (`as_of`). Counts and means are exact, medians and percentiles off by less
    than 6.25 %. By default of the last 30 days, at most of 366.
    """
    return respond(await overview.look_over(request.app[DB], parse_query(request, OverviewQuery)))


@describes(Correlations, body=CorrelateAlerts, internal=True)
async def post_correlate(request: web.Request) -> web.Response:
    """Tell alerts' states; learn which incident each belongs to. Idempotent for each alert and version."""
    batch = await parse_body(request, CorrelateAlerts, limit=INTERNAL_BODY_LIMIT)
    return respond(await correlation.correlate(request.app[DESK], batch))


@describes(IncidentStates, body=AskStates, internal=True)
async def post_states(request: web.Request) -> web.Response:
    """Ask how many incidents stand at once."""
    return respond(await reading.tell_states(request.app[DB], await parse_body(request, AskStates)))


@describes(IncidentEvent, query=StreamQuery, headers=("Last-Event-ID",), media_type="text/event-stream")
async def get_stream(request: web.Request) -> web.StreamResponse:
    """Follow every change as server-sent events: `event: incident`, and an id to resume from on any replica.

    The first event is `ready`: its id is where the stream stands, or where it resumes.
    """
    query = parse_query(request, StreamQuery)
    hub, settings = request.app[HUB], request.app[SETTINGS]
    position = await _position(request, query)
    response = EventSourceResponse(
        send_timeout=settings.stream_send_seconds, ping_interval=settings.stream_ping_seconds
    )
    await response.prepare(request)
    try:
        async with response, aclosing(hub.follow(position, response.is_connected)) as events:
            await response.send("{}", id=str(position), event="ready")
            async for event in events:
                await response.send(event.data, id=str(event.position), event="incident")
    except (ConnectionResetError, TimeoutError):
        log.info("stream client gone")
    return response


async def _position(request: web.Request, query: StreamQuery) -> Position:
    # The header is the newer one: with it a client that has reconnected by itself repeats its first address.
    header = request.headers.get("Last-Event-ID")
    given = header or query.last_event_id
    try:
        return await request.app[HUB].position(Position.parse(given) if given else None)
    except ValueError as exc:
        pointer = "Last-Event-ID" if header else "last_event_id"
        raise InvalidRequestError([{"pointer": pointer, "detail": f"This is {exc}."}]) from exc


async def _parse_claimed(request: web.Request, model: type[M]) -> tuple[M, IdempotentRequest | None]:
    """Return the valid body, and what its Idempotency-Key stands for, if it has one."""
    claim = await idempotent_request(request)
    return parse_json(await read_body(request), model), claim


def _reference(request: web.Request) -> Reference:
    """Return the id or the number in the path. Raise NotFoundError where it is neither."""
    given = request.match_info["incident_id"]
    if given.isdecimal() and given.isascii() and len(given) <= MAX_NUMBER_DIGITS:
        return int(given)
    try:
        return UUID(given)
    except ValueError as exc:
        msg = f"There is no incident {given[:64]!r}."
        raise NotFoundError(msg) from exc


def _etag(incident: Incident) -> dict[str, str]:
    return {"ETag": f'"{incident.version}"'}
