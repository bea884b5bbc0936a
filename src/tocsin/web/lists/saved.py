"""Filters that a person has given a name. They are kept in a cookie, per browser, until there is a log-in."""

import json
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote, unquote

from aiohttp import web

from tocsin.kernel.errors import InvalidRequestError
from tocsin.web.lists.filters import IncidentFilter, SavedFilter
from tocsin.web.visitor import YEAR_SECONDS

COOKIE: Final = "tocsin_filters"
MAX_NAME: Final = 40
MOST: Final = 12
MAX_COOKIE: Final = 3_500
"""Characters. A browser keeps 4,096 of a cookie with its name and attributes (RFC 6265, section 6.1)."""


def saved_in(request: web.Request) -> list[SavedFilter]:
    """Return the browser's filters in the order they were saved; what cannot be read any more is left out."""
    try:
        kept = json.loads(unquote(request.cookies.get(COOKIE, "")))
        pairs = [(str(name), str(address)) for name, address in kept][:MOST]
    except (ValueError, TypeError):
        return []
    found = []
    for name, address in pairs:
        try:
            found.append(SavedFilter(clean(name), IncidentFilter.of_address(address)))
        except InvalidRequestError:
            continue
    return [item for item in found if item.name]


def clean(name: str) -> str:
    """Return a name fit for a chip: printable, one line, at most 40 characters."""
    return "".join(char for char in name if char.isprintable()).strip()[:MAX_NAME].strip()


def remember(response: web.StreamResponse, filters: Sequence[SavedFilter]) -> None:
    """Keep *filters* in the browser. Raise InvalidRequestError where they are more than it keeps."""
    value = quote(json.dumps([[item.name, item.filter.address] for item in filters], ensure_ascii=False))
    if len(filters) > MOST or len(value) > MAX_COOKIE:
        msg = f"This browser keeps {MOST} filters, fewer where they are long. Forget one first."
        raise InvalidRequestError([{"pointer": "name", "detail": msg}], msg)
    if filters:
        response.set_cookie(COOKIE, value, max_age=YEAR_SECONDS, httponly=True, samesite="Lax", path="/")
    else:
        response.del_cookie(COOKIE, path="/")
