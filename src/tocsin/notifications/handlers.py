"""Requests in, answers out."""

from http import HTTPStatus

from aiohttp import web

from tocsin.channels import CHANNELS
from tocsin.contracts.model import Page
from tocsin.contracts.notifications import (
    Notification,
    NotificationQueued,
    NotificationSummary,
    Notify,
    Voided,
    VoidNotifications,
)
from tocsin.kernel.db import DB
from tocsin.kernel.errors import InvalidRequestError
from tocsin.kernel.openapi import describes
from tocsin.kernel.pg_notify import NotifyChannel
from tocsin.kernel.requests import idempotent_request, parse_body, parse_query, path_uuid
from tocsin.kernel.responses import respond
from tocsin.notifications import service
from tocsin.notifications.metrics import METRICS
from tocsin.notifications.queries import NotificationQuery, SummaryQuery

BELL = web.AppKey("BELL", NotifyChannel)


@describes({HTTPStatus.ACCEPTED: NotificationQueued}, body=Notify, headers=("Idempotency-Key",))
async def post_notify(request: web.Request) -> web.Response:
    """Deliver one message to one recipient over one channel.

    The message is stored before this answers, and tried until it arrives or is given up. A repeat with the same
    `Idempotency-Key` or `notification_id` sends nothing more.
    """
    order = await parse_body(request, Notify)
    if errors := CHANNELS.contact_errors(order.channel, order.recipient):
        raise InvalidRequestError(errors)
    queued = await service.notify(
        request.app[DB], request.app[METRICS], order, request=await idempotent_request(request), now=None
    )
    request.app[BELL].notify()
    return respond(queued, status=HTTPStatus.ACCEPTED)


@describes(Page[Notification], query=NotificationQuery)
async def list_notifications(request: web.Request) -> web.Response:
    """List messages with every attempt to deliver them, newest first."""
    query = parse_query(request, NotificationQuery)
    items, cursor = await service.list_page(request.app[DB], query.filters(), limit=query.limit)
    return respond(Page[Notification](items=items, next_cursor=cursor))


@describes(NotificationSummary, query=SummaryQuery)
async def get_summary(request: web.Request) -> web.Response:
    """Sum up what became of the messages of a window, by default of the last 24 hours."""
    query = parse_query(request, SummaryQuery)
    return respond(await service.summarise(request.app[DB], since=query.since))


@describes(Notification, problems=(HTTPStatus.NOT_FOUND,))
async def get_notification(request: web.Request) -> web.Response:
    """Return one message with every attempt to deliver it."""
    return respond(await service.get(request.app[DB], path_uuid(request, "notification_id")))


@describes(
    {HTTPStatus.ACCEPTED: NotificationQueued},
    problems=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
    headers=("Idempotency-Key",),
)
async def post_redeliver(request: web.Request) -> web.Response:
    """Send a message again that was given up, or voided: under the same delivery id, whatever its incident's state.

    Only somebody who answers after that stops a page.
    """
    notification_id = path_uuid(request, "notification_id")
    queued = await service.redeliver(
        request.app[DB], notification_id, request=await idempotent_request(request), now=None
    )
    request.app[BELL].notify()
    return respond(queued, status=HTTPStatus.ACCEPTED)


@describes(Voided, body=VoidNotifications, internal=True)
async def post_void(request: web.Request) -> web.Response:
    """Stop an incident's pages that have not gone out: somebody has answered."""
    command = await parse_body(request, VoidNotifications)
    return respond(await service.void(request.app[DB], request.app[METRICS], command, now=None))
