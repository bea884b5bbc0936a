"""Responses with the contact addresses that their reader may see."""

from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web
from pydantic import BaseModel

from tocsin.kernel.auth import PRINCIPAL
from tocsin.kernel.responses import respond
from tocsin.oncall.service import DEPS
from tocsin.oncall.service.authority import set_reader


async def respond_to(
    request: web.Request,
    model: BaseModel,
    *,
    status: HTTPStatus = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """Return *model* as the response to *request*: people see their own addresses, managers those of their teams."""
    await set_reader(request.app[DEPS], request[PRINCIPAL])
    return respond(model, status=status, headers=headers)
