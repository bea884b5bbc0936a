"""Named filters, kept in a cookie per browser."""

import json
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote, unquote

from aiohttp import web

from tocsin.kernel.errors import InvalidRequestError
from tocsin.web.pages.incidents.filter import IncidentFilter, SavedFilter
from tocsin.web.ui.preferences import YEAR_SECONDS

COOKIE: Final = "tocsin_filters"
MAX_NAME: Final = 40
MAX_FILTERS: Final = 12
MAX_COOKIE: Final = 3_500
"""Characters. A browser keeps 4,096 bytes of a cookie, its name and attributes (RFC 6265, section 6.1)."""


def saved_filters(request: web.Request) -> list[SavedFilter]:
    """Return the browser's filters in the order they were saved; invalid ones are left out."""
    try:
        kept = json.loads(unquote(request.cookies.get(COOKIE, "")))
        pairs = [(str(name), str(address)) for name, address in kept][:MAX_FILTERS]
    except (ValueError, TypeError):
        return []
    found = []
    for name, address in pairs:
        try:
            found.append(SavedFilter(clean_name(name), IncidentFilter.of_address(address)))
        except InvalidRequestError:
            continue
    return [item for item in found if item.name]


def clean_name(name: str) -> str:
    """Return *name* as a single printable line of at most 40 characters."""
    return "".join(char for char in name if char.isprintable()).strip()[:MAX_NAME].strip()


def remember(response: web.StreamResponse, filters: Sequence[SavedFilter]) -> None:
    """Store *filters* in the browser. Raise InvalidRequestError if they do not fit."""
    value = quote(json.dumps([[item.name, item.filter.address] for item in filters], ensure_ascii=False))
    if len(filters) > MAX_FILTERS or len(value) > MAX_COOKIE:
        msg = f"This browser keeps up to {MAX_FILTERS} filters, fewer if they are long. Delete one first."
        raise InvalidRequestError([{"pointer": "name", "detail": msg}], msg)
    if filters:
        response.set_cookie(COOKIE, value, max_age=YEAR_SECONDS, httponly=True, samesite="Lax", path="/")
    else:
        response.del_cookie(COOKIE, path="/")
