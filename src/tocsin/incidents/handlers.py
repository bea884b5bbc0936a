"""Request handlers of incident management."""

from contextlib import aclosing
from http import HTTPStatus
from typing import Final, TypeVar
from uuid import UUID

import structlog
from aiohttp import web
from aiohttp_sse import EventSourceResponse
from pydantic import BaseModel

from tocsin.contracts.boards import IncidentBoard, IncidentListing, IncidentView
from tocsin.contracts.incident_events import IncidentEvent
from tocsin.contracts.incidents import (
    AlertsInUse,
    AppendTimelineEntry,
    ChangeIncident,
    CorrelateAlerts,
    Correlations,
    Incident,
    IncidentCounts,
    IncidentStates,
    IncidentSummary,
    OpenIncident,
    QueryStates,
    StatsSummary,
    TimelineEntry,
)
from tocsin.contracts.model import Page
from tocsin.contracts.overview import IncidentMetrics, StatsOverview
from tocsin.incidents.domain.stream_position import StreamPosition
from tocsin.incidents.queries import (
    AlertRange,
    BoardQuery,
    CountsQuery,
    IncidentQuery,
    ListingQuery,
    NoQuery,
    OverviewQuery,
    StatsQuery,
    StreamQuery,
    TimelineQuery,
    ViewQuery,
)
from tocsin.incidents.service import DEPS, analytics, boards, changes, correlation, incidents, retention, timeline
from tocsin.incidents.service.incidents import Reference
from tocsin.incidents.service.stream import HUB
from tocsin.incidents.settings import SETTINGS
from tocsin.kernel.auth import actor_of
from tocsin.kernel.errors import InvalidRequestError, NotFoundError
from tocsin.kernel.event_streams import admit_stream, prepare_stream, send_events
from tocsin.kernel.idempotent_request import IdempotentRequest
from tocsin.kernel.openapi import describes
from tocsin.kernel.partitions import IdRange
from tocsin.kernel.requests import (
    INTERNAL_BODY_LIMIT,
    idempotent_request,
    if_match,
    parse_body,
    parse_query,
    read_body,
)
from tocsin.kernel.responses import respond
from tocsin.kernel.validation import parse_json

log = structlog.get_logger(__name__)
M = TypeVar("M", bound=BaseModel)
MAX_NUMBER_DIGITS: Final = 18
"""A bigint has 19 digits, but not all numbers of 19 digits are bigints."""
NOT_FOUND: Final = (HTTPStatus.NOT_FOUND,)


@describes({HTTPStatus.CREATED: Incident}, body=OpenIncident, headers=("Idempotency-Key", "X-Actor"))
async def post_incident(request: web.Request) -> web.Response:
    """Open an incident by hand.

    The response contains the assignee if on-call responds within a second.
    """
    given, idempotent = await _parse_idempotent(request, OpenIncident)
    incident = await changes.open_incident(
        request.app[DEPS], given, actor=actor_of(request, given.actor), request=idempotent
    )
    location = {"Location": f"/api/v1/incidents/{incident.id}"}
    return respond(incident, status=HTTPStatus.CREATED, headers=location | _etag(incident))


@describes(Page[IncidentSummary], query=IncidentQuery)
async def list_incidents(request: web.Request) -> web.Response:
    """List incidents, newest first or by severity."""
    return respond(await incidents.list_incidents(request.app[DEPS], parse_query(request, IncidentQuery)))


@describes(IncidentCounts, query=CountsQuery)
async def get_counts(request: web.Request) -> web.Response:
    """Count the unresolved incidents by state."""
    return respond(await incidents.count_incidents(request.app[DEPS], parse_query(request, CountsQuery)))


@describes(IncidentBoard, query=BoardQuery, internal=True)
async def get_board(request: web.Request) -> web.Response:
    """Return the newest incidents of each state, and the times of the last days."""
    return respond(await boards.get_board(request.app[DEPS], parse_query(request, BoardQuery)))


@describes(IncidentListing, query=ListingQuery, internal=True)
async def get_listing(request: web.Request) -> web.Response:
    """List incidents, and count the unresolved ones."""
    return respond(await boards.get_listing(request.app[DEPS], parse_query(request, ListingQuery)))


@describes(IncidentView, query=ViewQuery, problems=NOT_FOUND, internal=True)
async def get_view(request: web.Request) -> web.Response:
    """Return an incident with the last resolved ones of its service, and count the unresolved ones."""
    query = parse_query(request, ViewQuery)
    return respond(await boards.get_view(request.app[DEPS], _reference(request), resolved=query.resolved))


@describes(AlertsInUse, query=AlertRange, internal=True)
async def get_alerts_in_use(request: web.Request) -> web.Response:
    """Return whether an alert of a range belongs to an unresolved incident: then none of them is deleted."""
    query = parse_query(request, AlertRange)
    return respond(await retention.alerts_in_use(request.app[DEPS], IdRange(query.starts, query.ends)))


@describes(Incident, problems=NOT_FOUND)
async def get_incident(request: web.Request) -> web.Response:
    """Return an incident with its alerts, notes and timeline.

    The `ETag` is the version that `If-Match` of a PATCH compares: people's changes increment it, alerts do not.
    """
    parse_query(request, NoQuery)
    incident = await incidents.get_incident(request.app[DEPS], _reference(request))
    return respond(incident, headers=_etag(incident))


@describes(
    Incident,
    body=ChangeIncident,
    headers=("Idempotency-Key", "If-Match", "X-Actor"),
    problems=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED),
)
async def patch_incident(request: web.Request) -> web.Response:
    """Change an incident's state, title, severity or assignee, or add a note.

    `open` may change to any other state, `acknowledged` to `in_progress` or `resolved`, `in_progress` to `resolved`;
    the current state is a no-op. With `If-Match`, a change based on an older version is refused.
    """
    reference = _reference(request)
    version = if_match(request)
    wanted, idempotent = await _parse_idempotent(request, ChangeIncident)
    incident = await changes.change_incident(
        request.app[DEPS], reference, wanted, actor=actor_of(request, wanted.actor), version=version, request=idempotent
    )
    return respond(incident, headers=_etag(incident))


@describes(IncidentMetrics, problems=NOT_FOUND)
async def get_incident_metrics(request: web.Request) -> web.Response:
    """Return an incident's MTTA and MTTR, and how long it was or is open."""
    parse_query(request, NoQuery)
    return respond(await incidents.get_incident_metrics(request.app[DEPS], _reference(request)))


@describes(Page[TimelineEntry], query=TimelineQuery, problems=NOT_FOUND)
async def list_timeline(request: web.Request) -> web.Response:
    """List an incident's timeline, newest first."""
    query = parse_query(request, TimelineQuery)
    return respond(await timeline.list_timeline(request.app[DEPS], _reference(request), query))


@describes(
    {HTTPStatus.CREATED: TimelineEntry},
    body=AppendTimelineEntry,
    headers=("Idempotency-Key",),
    problems=NOT_FOUND,
    internal=True,
)
async def post_timeline(request: web.Request) -> web.Response:
    """Append a report to an incident's timeline. A repeated event key has no effect."""
    reference = _reference(request)
    report, idempotent = await _parse_idempotent(request, AppendTimelineEntry)
    report = report.model_copy(update={"actor": actor_of(request, report.actor)})
    entry = await timeline.append_report(request.app[DEPS], reference, report, request=idempotent)
    return respond(entry, status=HTTPStatus.CREATED)


@describes(StatsSummary, query=StatsQuery)
async def get_stats_summary(request: web.Request) -> web.Response:
    """Summarise the incidents created in a window, by default the last 30 days, at most 366.

    The figures of up to 5,000 incidents are exact. Those of more are seconds old (`as_of`), and of whole UTC days
    (`since`, `until`); counts and means are exact, medians and percentiles off by less than 6.25 %.
    """
    return respond(await analytics.get_summary(request.app[DEPS], parse_query(request, StatsQuery)))


@describes(StatsOverview, query=OverviewQuery)
async def get_stats_overview(request: web.Request) -> web.Response:
    """Return MTTA, MTTR, volume and the noisiest services by day or week, and the figures of the preceding range.

    The figures are seconds old (`as_of`). Counts and means are exact, medians and percentiles off by less than 6.25 %.
    The range is by default the last 30 days, at most 366.
    """
    return respond(await analytics.get_overview(request.app[DEPS], parse_query(request, OverviewQuery)))


@describes(Correlations, body=CorrelateAlerts, internal=True)
async def post_correlate(request: web.Request) -> web.Response:
    """Correlate a batch of alerts and return each one's incident. Idempotent per alert and version."""
    batch = await parse_body(request, CorrelateAlerts, limit=INTERNAL_BODY_LIMIT)
    return respond(await correlation.correlate(request.app[DEPS], batch))


@describes(IncidentStates, body=QueryStates, internal=True)
async def post_states(request: web.Request) -> web.Response:
    """Return the states of many incidents."""
    return respond(await incidents.get_states(request.app[DEPS], await parse_body(request, QueryStates)))


@describes(IncidentEvent, query=StreamQuery, headers=("Last-Event-ID",), media_type="text/event-stream")
async def get_stream(request: web.Request) -> web.StreamResponse:
    """Follow every change as server-sent events: `event: incident`, with an id to resume from on any replica.

    The first event is `ready`; its id is the position at which the stream starts or resumes.
    """
    query = parse_query(request, StreamQuery)
    hub, settings = request.app[HUB], request.app[SETTINGS]
    async with admit_stream(request):
        position = await _start_position(request, query)
        response = EventSourceResponse(
            send_timeout=settings.stream_send_seconds, ping_interval=settings.stream_ping_seconds
        )
        await prepare_stream(request, response)
        try:
            async with response, aclosing(hub.follow(position, response.is_connected)) as events:
                await response.send("{}", id=str(position), event="ready")
                async for known in events:
                    encoded = [event.encoded for event in known]
                    await send_events(request, response, encoded, seconds=settings.stream_send_seconds)
        except (ConnectionResetError, TimeoutError):
            log.debug("stream client disconnected")
    return response


async def _start_position(request: web.Request, query: StreamQuery) -> StreamPosition:
    # The header takes precedence: an EventSource that reconnects repeats its first URL, with an outdated parameter.
    header = request.headers.get("Last-Event-ID")
    given = header or query.last_event_id
    try:
        return await request.app[HUB].start_position(StreamPosition.parse(given) if given else None)
    except ValueError as exc:
        pointer = "Last-Event-ID" if header else "last_event_id"
        raise InvalidRequestError([{"pointer": pointer, "detail": f"This is {exc}."}]) from exc


async def _parse_idempotent(request: web.Request, model: type[M]) -> tuple[M, IdempotentRequest | None]:
    """Return the valid body, and the idempotent request if there is an `Idempotency-Key`."""
    idempotent = await idempotent_request(request)
    return parse_json(await read_body(request), model), idempotent


def _reference(request: web.Request) -> Reference:
    """Return the id or number in the path. Raise NotFoundError if it is neither."""
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
