"""The list of messages with their delivery attempts."""

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from tocsin.clients.notifications import NOTIFICATIONS
from tocsin.kernel.errors import NotFoundError, RejectedError
from tocsin.kernel.requests import path_uuid
from tocsin.web.pages.delivery.filter import MessageFilter
from tocsin.web.pages.delivery.loader import load_delivery
from tocsin.web.pages.delivery.view import delivery_view
from tocsin.web.ui import forms, templating
from tocsin.web.ui.conflict import Rejection
from tocsin.web.ui.loaders import with_open_count

BLOCKS: Final = ("notices", "head", "channels", "results")
NOT_FOUND: Final = 404


async def get_messages(request: web.Request) -> web.Response:
    """Show the messages that match the filters in the address."""
    return await _show(request, MessageFilter.read(request.query))


async def post_redeliver(request: web.Request) -> web.StreamResponse:
    """Retry a failed message; redirect to the list that the button was on."""
    notification_id = path_uuid(request, "notification_id")
    form = await forms.read_form(request)
    key = forms.idempotency_key(form, "redeliver", str(notification_id))
    try:
        await request.app[NOTIFICATIONS].redeliver(notification_id, idempotency_key=key)
    except RejectedError as exc:
        if exc.status == NOT_FOUND:
            raise NotFoundError(str(exc)) from exc
        rejection = Rejection("Not sent again", str(exc))
        return await _show(request, _return_filter(form), rejection=rejection, status=exc.status)
    return forms.see_other(_return_filter(form).address)


async def _show(
    request: web.Request, chosen: MessageFilter, *, rejection: Rejection | None = None, status: int = 200
) -> web.Response:
    data, open_count = await with_open_count(request.app, load_delivery(request.app, chosen))
    context: dict[str, Any] = {
        "view": delivery_view(data),
        "open_count": open_count,
        "rejection": rejection,
        "key": forms.new_key(),
        "path": MessageFilter.path,
        "here": chosen.address,
    }
    return templating.render(request, "pages/delivery/page.html", blocks=BLOCKS, context=context, status=status)


def _return_filter(form: Mapping[str, str]) -> MessageFilter:
    return MessageFilter.of_address(form.get("return_to", ""))
