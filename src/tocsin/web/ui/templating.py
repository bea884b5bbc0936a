"""Render templates: the whole page, or only some of its blocks."""

from collections.abc import Hashable, Mapping, MutableMapping
from typing import Any, Final

import aiohttp_jinja2
from aiohttp import hdrs, web
from jinja2 import BytecodeCache, Environment, PackageLoader, StrictUndefined
from jinja2.bccache import Bucket
from jinja2_fragments import render_block, render_blocks

from tocsin.kernel import build_info, clock
from tocsin.web.ui import compression, preferences
from tocsin.web.ui import format as fmt
from tocsin.web.ui.assets import ASSETS, Assets
from tocsin.web.ui.navigation import PAGES, SHORTCUTS

FILTERS: Final = {
    "timer": fmt.timer,
    "duration": fmt.duration,
    "took": fmt.took,
    "number": fmt.number,
    "iso": fmt.iso,
    "iso_duration": fmt.iso_duration,
    "clock": fmt.clock,
    "minute": fmt.minute,
    "weekday": fmt.weekday,
    "full": fmt.full,
    "rows": fmt.rows,
    "wall": fmt.wall,
    "wall_day": fmt.wall_day,
    "initials": fmt.initials,
    "tint": fmt.tint,
    "capitalised": fmt.capitalised,
    "listed": fmt.listed,
    "cut": fmt.cut,
}
FRAGMENTS: Final = "HX-Request"
"""The header with which htmx requests blocks instead of a page."""


class ProcessCache(BytecodeCache):
    """Compiled templates, shared by the applications of a process: compiling takes a tenth of a second."""

    def __init__(self) -> None:
        self._code: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill *bucket* if the same source has been compiled."""
        if code := self._code.get(f"{bucket.key}-{bucket.checksum}"):
            bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Store the code in *bucket*."""
        self._code[f"{bucket.key}-{bucket.checksum}"] = bucket.bytecode_to_string()


BYTECODE: Final = ProcessCache()


def set_up(app: web.Application) -> None:
    """Set up the templates of *app*. Every value is escaped; an undefined name is an error."""
    assets = Assets()
    app[ASSETS] = assets
    environment: Environment = aiohttp_jinja2.setup(
        app,
        loader=PackageLoader("tocsin.web", ""),
        autoescape=True,
        auto_reload=False,
        bytecode_cache=BYTECODE,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    environment.globals.update(asset=assets.url, version=build_info.VERSION, fmt=fmt, PAGES=PAGES, SHORTCUTS=SHORTCUTS)
    # Globals, as a block that is rendered alone does not see the imports of its template.
    for name in ("ui", "times", "tables", "alarms", "lists", "charts"):  # each may use the ones before it
        environment.globals[name] = environment.get_template(f"ui/macros/{name}.html").module


def render(
    request: web.Request,
    template: str,
    *,
    blocks: tuple[str, ...],
    context: Mapping[str, Any],
    status: int = 200,
    bodies: MutableMapping[Hashable, bytes] | None = None,
) -> web.Response:
    """Render *template*, or only *blocks* of it for htmx.

    With `open_count` in *context*, the number beside Incidents in the navigation is rendered, too. *bodies* keeps what
    is rendered of one *context*, for requests with the same address and preferences.
    """
    visitor = preferences.of(request)
    coding = compression.choose(request.headers.get(hdrs.ACCEPT_ENCODING, ""))
    key = (visitor, request.path_qs, FRAGMENTS in request.headers, coding)
    body = None if bodies is None else bodies.get(key)
    if body is None:
        html = _html(request, template, blocks=blocks, context=context, visitor=visitor)
        body = compression.compress(html.encode(), coding, compression.FAST)
        if bodies is not None:
            bodies[key] = body
    headers = {hdrs.CACHE_CONTROL: "no-store", hdrs.VARY: f"{FRAGMENTS}, {hdrs.ACCEPT_ENCODING}"}
    if coding:
        headers[hdrs.CONTENT_ENCODING] = coding
    return web.Response(body=body, status=status, content_type="text/html", charset="utf-8", headers=headers)


def _html(
    request: web.Request,
    template: str,
    *,
    blocks: tuple[str, ...],
    context: Mapping[str, Any],
    visitor: preferences.Visitor,
) -> str:
    environment = aiohttp_jinja2.get_env(request.app)
    path = context.get("path", request.path)
    shared = {
        "visitor": visitor,
        "path": path,
        "here": request.path_qs if path == request.path else path,
        "at": clock.now(),
        "open_count": None,
    }
    values = shared | dict(context)
    if FRAGMENTS in request.headers:
        html: str = render_blocks(environment, template, blocks, values)
        if values["open_count"] is not None:
            html += render_block(environment, "ui/base.html", "count", values)
        return html
    return environment.get_template(template).render(values)
