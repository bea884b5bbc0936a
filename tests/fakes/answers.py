"""How the fake services respond to the web pages."""

from collections.abc import Iterable
from operator import attrgetter
from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel

from tocsin.contracts.model import Page
from tocsin.kernel.pagination import Keyset

M = TypeVar("M", bound=BaseModel)


def answer(model: BaseModel) -> web.Response:
    return web.Response(body=model.model_dump_json(), content_type="application/json")


def refuse(status: int, detail: str) -> web.Response:
    return web.json_response({"detail": detail}, status=status, content_type="application/problem+json")


def page_of(request: web.Request, page: type[Page[M]], items: Iterable[M]) -> web.Response:
    """Return a page of the newest items, or of those after a cursor."""
    limit = int(request.query.get("limit", "50"))
    newest = sorted(items, key=attrgetter("created_at"), reverse=True)
    if "cursor" in request.query:
        after = Keyset.decode(request.query["cursor"])
        newest = [item for item in newest if attrgetter("created_at")(item) < after.created_at]
    shown = newest[:limit]
    more = len(newest) > limit
    cursor = Keyset(attrgetter("created_at")(shown[-1]), attrgetter("id")(shown[-1])).encode() if more else None
    return answer(page(items=shown, next_cursor=cursor))


def asked_for(request: web.Request, item: object, *names: str) -> bool:
    """Return whether *item* matches the query in each of the fields *names*, with any of the values given."""
    return all(str(getattr(item, name)) in request.query.getall(name, [str(getattr(item, name))]) for name in names)
