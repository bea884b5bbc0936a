"""How the fake services respond to the web pages."""

from collections.abc import Iterable
from datetime import datetime
from operator import attrgetter
from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel

from tocsin.contracts.model import Page, Severity
from tocsin.kernel.pagination import Keyset

M = TypeVar("M", bound=BaseModel)


def answer(model: BaseModel) -> web.Response:
    return web.Response(body=model.model_dump_json(), content_type="application/json")


def refuse(status: int, detail: str) -> web.Response:
    return web.json_response({"detail": detail}, status=status, content_type="application/problem+json")


def page_of(request: web.Request, page: type[Page[M]], items: Iterable[M]) -> web.Response:
    """Return a page of the newest items, or of those after a cursor."""
    return answer(newest_page(request, page, items, limit=int(request.query.get("limit", "50"))))


def newest_page(request: web.Request, page: type[Page[M]], items: Iterable[M], *, limit: int) -> Page[M]:
    """Return the newest *limit* items, or those after a cursor."""
    newest = sorted(items, key=attrgetter("created_at"), reverse=True)
    if "cursor" in request.query:
        after = Keyset.decode(request.query["cursor"])
        newest = [item for item in newest if attrgetter("created_at")(item) < after.created_at]
    shown = newest[:limit]
    more = len(newest) > limit
    cursor = Keyset(attrgetter("created_at")(shown[-1]), attrgetter("id")(shown[-1])).encode() if more else None
    return page(items=shown, next_cursor=cursor)


def severest_page(request: web.Request, page: type[Page[M]], items: Iterable[M], *, limit: int) -> Page[M]:
    """Return the most severe *limit* items, the newest of each severity first, or those after a cursor."""

    def position(severity: str, created_at: datetime) -> tuple[int, float]:
        return list(Severity).index(Severity(severity)), -created_at.timestamp()

    def position_of(item: M) -> tuple[int, float]:
        return position(*attrgetter("severity", "created_at")(item))

    ordered = sorted(items, key=position_of)
    if "cursor" in request.query:
        severity, _, keyset = request.query["cursor"].partition(".")
        after = position(severity, Keyset.decode(keyset).created_at)
        ordered = [item for item in ordered if position_of(item) > after]
    shown = ordered[:limit]
    if len(shown) == len(ordered):
        return page(items=shown, next_cursor=None)
    last_severity, *key = attrgetter("severity", "created_at", "id")(shown[-1])
    return page(items=shown, next_cursor=f"{last_severity}.{Keyset(*key).encode()}")


def asked_for(request: web.Request, item: object, *names: str) -> bool:
    """Return whether *item* matches the query in each of the fields *names*, with any of the values given."""
    return all(str(getattr(item, name)) in request.query.getall(name, [str(getattr(item, name))]) for name in names)
