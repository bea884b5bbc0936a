"""Responses from models."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import web
from pydantic import BaseModel

from tocsin.kernel.reader import READER


def respond(
    model: BaseModel, *, status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return *model* as a JSON response, serialised in one pass, with the addresses masked that its reader may not see.

    The types of addresses in `contracts` mask themselves for the reader that they get as context.
    """
    reader = READER.get()
    # pydantic passes on any object as context.
    context: Any = None if reader.sees_all else reader
    body = model.__pydantic_serializer__.to_json(model, context=context)
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")
