"""Responses from models."""

from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web
from pydantic import BaseModel


def respond(
    model: BaseModel, *, status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return *model* as a JSON response, serialised in one pass."""
    body = model.__pydantic_serializer__.to_json(model)
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")
