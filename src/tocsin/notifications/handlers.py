"""HTTP handlers of notification-service."""

from http import HTTPStatus

from aiohttp import web

from tocsin.channels import CHANNELS
from tocsin.contracts.boards import MessageBoard
from tocsin.contracts.contact_types import IS_MASKED, is_masked
from tocsin.contracts.model import Page
from tocsin.contracts.notifications import (
    CancelPages,
    Notification,
    NotificationQueued,
    NotificationSummary,
    Notify,
    PagesCancelled,
)
from tocsin.kernel.auth import PRINCIPAL
from tocsin.kernel.errors import ForbiddenError, InvalidRequestError
from tocsin.kernel.openapi import describes
from tocsin.kernel.principal import PrincipalKind
from tocsin.kernel.reader import READER
from tocsin.kernel.requests import idempotent_request, parse_body, parse_query, path_uuid
from tocsin.kernel.responses import respond
from tocsin.notifications.queries import BoardQuery, NotificationQuery, SummaryQuery
from tocsin.notifications.service import DEPS, cancellation, queueing, search


@describes({HTTPStatus.ACCEPTED: NotificationQueued}, body=Notify, headers=("Idempotency-Key",))
async def post_notify(request: web.Request) -> web.Response:
    """Deliver one message to one recipient over one channel.

    The message is stored before the response, and retried until it is delivered or given up. A repeat with the same
    `Idempotency-Key` or `notification_id` is a no-op.
    """
    command = await parse_body(request, Notify)
    if request[PRINCIPAL].kind is not PrincipalKind.SERVICE and is_masked(command.recipient):
        raise InvalidRequestError([{"pointer": "#/recipient", "detail": IS_MASKED}])
    if errors := CHANNELS.contact_errors(command.channel, command.recipient):
        raise InvalidRequestError(errors)
    queued = await queueing.notify(request.app[DEPS], command, request=await idempotent_request(request))
    return respond(queued, status=HTTPStatus.ACCEPTED)


@describes(Page[Notification], query=NotificationQuery)
async def list_notifications(request: web.Request) -> web.Response:
    """List messages with every attempt to deliver them, newest first."""
    query = parse_query(request, NotificationQuery)
    if query.recipient is not None and not READER.get().sees(query.recipient):
        msg = "Only admins may search for an address, because others could find out addresses by guessing."
        raise ForbiddenError(msg)
    items, cursor = await search.list_page(request.app[DEPS], query.filters(), limit=query.limit)
    return respond(Page[Notification](items=items, next_cursor=cursor))


@describes(MessageBoard, query=BoardQuery, internal=True)
async def get_board(request: web.Request) -> web.Response:
    """Return the newest messages, and the newest ones that failed."""
    query = parse_query(request, BoardQuery)
    return respond(await search.get_board(request.app[DEPS], limit=query.limit))


@describes(NotificationSummary, query=SummaryQuery)
async def get_summary(request: web.Request) -> web.Response:
    """Count the messages of a window by channel and outcome; by default of the last 24 hours."""
    query = parse_query(request, SummaryQuery)
    return respond(await search.summarise(request.app[DEPS], since=query.since))


@describes(Notification, problems=(HTTPStatus.NOT_FOUND,))
async def get_notification(request: web.Request) -> web.Response:
    """Return one message with every attempt to deliver it."""
    return respond(await search.get(request.app[DEPS], path_uuid(request, "notification_id")))


@describes(
    {HTTPStatus.ACCEPTED: NotificationQueued},
    problems=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
    headers=("Idempotency-Key",),
)
async def post_redeliver(request: web.Request) -> web.Response:
    """Send a failed or voided message again with the same delivery id, whatever the state of its incident.

    Only a later acknowledgement cancels the page.
    """
    notification_id = path_uuid(request, "notification_id")
    queued = await queueing.redeliver(request.app[DEPS], notification_id, request=await idempotent_request(request))
    return respond(queued, status=HTTPStatus.ACCEPTED)


@describes(PagesCancelled, body=CancelPages, internal=True)
async def post_void(request: web.Request) -> web.Response:
    """Cancel an incident's pages that have not been sent."""
    command = await parse_body(request, CancelPages)
    return respond(await cancellation.cancel_pages(request.app[DEPS], command))
