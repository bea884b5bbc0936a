"""What browsers send: small urlencoded forms."""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import hdrs, web

from tocsin.kernel.errors import MalformedRequestError, UnsupportedMediaTypeError
from tocsin.kernel.ids import new_id

MAX_FORM: Final = 256 * 1024
"""Bytes: a note of 16,384 characters, each of them written in four bytes and as many per cent signs."""
MAX_FIELDS: Final = 20
OWN_PAGE: Final = re.compile(
    r"/(?:(?:incidents|alerts|oncall|notifications|metrics-overview)(?:/[0-9a-z-]{1,64}){0,2})?"
    r"(?:\?[A-Za-z0-9%~._=&+:,-]{0,2000})?"
)
"""A page with its filters. No dots, no `//`, nothing that a browser could read as another host."""
FORM_TYPE: Final = "application/x-www-form-urlencoded"


async def read_form(request: web.Request, *, max_fields: int = MAX_FIELDS) -> Mapping[str, str]:
    """Return the form's fields, the last of each name.

    Raise UnsupportedMediaTypeError, MalformedRequestError, and aiohttp's 413.
    """
    return dict(await read_fields(request, max_fields=max_fields))


async def read_fields(request: web.Request, *, max_fields: int) -> list[tuple[str, str]]:
    """Return the fields of a form in which a name may stand more than once; raises as `read_form` does."""
    if request.content_type != FORM_TYPE:
        msg = f"This address takes a form ({FORM_TYPE})."
        raise UnsupportedMediaTypeError(msg)
    body = await request.clone(client_max_size=MAX_FORM).read()
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=max_fields, errors="strict")
    except ValueError as exc:
        msg = "The form cannot be read: it is not UTF-8, or has too many fields."
        raise MalformedRequestError(msg) from exc


def way_back(form: Mapping[str, str], default: str = "/") -> str:
    """Return the page that the form stood on; never a foreign address."""
    given = form.get("back", "")
    return given if OWN_PAGE.fullmatch(given) else default


def idempotency_key(form: Mapping[str, str], *what: str) -> str:
    """Return the key of one submission: sent twice, the same form does *what* it does once."""
    drawn = form.get("key") or str(new_id())
    return "web-" + sha256("\0".join([drawn, *what]).encode()).hexdigest()


def see_other(path: str) -> web.Response:
    """Send the browser on to a page of ours, as after every form."""
    return web.Response(status=303, headers={hdrs.LOCATION: path, hdrs.CACHE_CONTROL: "no-store"})


def new_key() -> str:
    """Return what a form is drawn with, so that sending it twice is known as such."""
    return str(new_id())
