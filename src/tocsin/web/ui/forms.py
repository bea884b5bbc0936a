"""Read small urlencoded forms."""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import hdrs, web

from tocsin.kernel.errors import MalformedRequestError, UnsupportedMediaTypeError
from tocsin.kernel.ids import new_id
from tocsin.kernel.requests import read_body

MAX_FORM: Final = 256 * 1024
"""Bytes: enough for a note of 16,384 characters of four bytes each, percent-encoded."""
MAX_FIELDS: Final = 20
OWN_PAGE: Final = re.compile(
    r"/(?:(?:account|accounts|audit|incidents|alerts|oncall|notifications|analytics|metrics-overview)(?:/[0-9a-z-]{1,64}){0,2})?"
    r"(?:\?[A-Za-z0-9%~._=&+:,-]{0,2000})?"
)
"""A page with its filters. No dots, no `//`, nothing that a browser could interpret as another host."""
FORM_TYPE: Final = "application/x-www-form-urlencoded"


async def read_form(request: web.Request, *, max_fields: int = MAX_FIELDS) -> Mapping[str, str]:
    """Return the form's fields; of duplicate names the last one.

    Raise UnsupportedMediaTypeError, MalformedRequestError, and as `read_body` does.
    """
    return dict(await read_fields(request, max_fields=max_fields))


async def read_fields(request: web.Request, *, max_fields: int) -> list[tuple[str, str]]:
    """Return the fields of a form that may repeat names; raises like `read_form`."""
    if request.content_type != FORM_TYPE:
        msg = f"This address accepts a form ({FORM_TYPE})."
        raise UnsupportedMediaTypeError(msg)
    body = await read_body(request, limit=MAX_FORM)
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=max_fields, errors="strict")
    except ValueError as exc:
        msg = "The form is not UTF-8, or has too many fields."
        raise MalformedRequestError(msg) from exc


def return_to(form: Mapping[str, str], default: str = "/") -> str:
    """Return the page that the form was on; never a foreign address."""
    given = form.get("return_to", "")
    return given if OWN_PAGE.fullmatch(given) else default


def idempotency_key(form: Mapping[str, str], *action: str) -> str:
    """Return the idempotency key of *action* for one rendering of a form: submitting it twice acts once."""
    rendered = form.get("key") or str(new_id())
    return "web-" + sha256("\0".join([rendered, *action]).encode()).hexdigest()


def see_other(path: str) -> web.Response:
    """Redirect the browser to a page of ours, as after every form."""
    return web.Response(status=303, headers={hdrs.LOCATION: path, hdrs.CACHE_CONTROL: "no-store"})


def new_key() -> str:
    """Return the key for a rendering of a form, which identifies duplicate submissions."""
    return str(new_id())
