"""Templates: one serves the whole page and, block by block, its fragments."""

from collections.abc import Mapping
from typing import Any, Final

import aiohttp_jinja2
from aiohttp import hdrs, web
from jinja2 import BytecodeCache, Environment, PackageLoader, StrictUndefined
from jinja2.bccache import Bucket
from jinja2_fragments import render_block, render_blocks

from tocsin.kernel import build_info, clock
from tocsin.web import packing, visitor
from tocsin.web.assets import ASSETS, Assets
from tocsin.web.navigation import PAGES, SHORTCUTS
from tocsin.web.views import words

FILTERS: Final = {
    "ticking": words.ticking,
    "lasting": words.lasting,
    "iso": words.iso,
    "iso_duration": words.iso_duration,
    "clock": words.clock,
    "minute": words.minute,
    "weekday": words.weekday,
    "full": words.full,
    "wall": words.wall,
    "wall_day": words.wall_day,
    "initials": words.initials,
    "tint": words.tint,
    "listed": words.listed,
    "cut": words.cut,
}
FRAGMENTS: Final = "HX-Request"
"""The header by which htmx asks for blocks instead of a page."""


class Compiled(BytecodeCache):
    """What this process has compiled: the work of a tenth of a second, which each application would do again."""

    def __init__(self) -> None:
        self._code: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Give *bucket* what was compiled of the same source, if anything was."""
        if code := self._code.get(f"{bucket.key}-{bucket.checksum}"):
            bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what *bucket* holds."""
        self._code[f"{bucket.key}-{bucket.checksum}"] = bucket.bytecode_to_string()


COMPILED: Final = Compiled()


def set_up(app: web.Application) -> None:
    """Give *app* its templates. Every value is escaped; a name that a view does not have is an error."""
    assets = Assets()
    app[ASSETS] = assets
    environment: Environment = aiohttp_jinja2.setup(
        app,
        loader=PackageLoader("tocsin.web"),
        autoescape=True,
        auto_reload=False,
        bytecode_cache=COMPILED,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    environment.globals.update(
        asset=assets.url, version=build_info.VERSION, words=words, PAGES=PAGES, SHORTCUTS=SHORTCUTS
    )
    # Not imported by each template: a block that is rendered alone does not see its template's imports.
    for name in ("ui", "times", "tables", "alarms", "lists", "charts"):  # each may use those before it
        environment.globals[name] = environment.get_template(f"macros/{name}.html").module


def render(
    request: web.Request,
    template: str,
    *,
    blocks: tuple[str, ...],
    context: Mapping[str, Any],
    status: int = 200,
) -> web.Response:
    """Render *template*, or only *blocks* of it where htmx asks; `waiting` in *context* is counted beside Incidents."""
    environment = aiohttp_jinja2.get_env(request.app)
    path = context.get("path", request.path)
    shared = {
        "visitor": visitor.of(request),
        "path": path,
        "here": request.path_qs if path == request.path else path,
        "at": clock.now(),
        "waiting": None,
    }
    values = shared | dict(context)
    if FRAGMENTS in request.headers:
        html = render_blocks(environment, template, blocks, values)
        if values["waiting"] is not None:
            html += render_block(environment, "base.html", "count", values)
    else:
        html = environment.get_template(template).render(values)
    headers = {hdrs.CACHE_CONTROL: "no-store", hdrs.VARY: f"{FRAGMENTS}, {hdrs.ACCEPT_ENCODING}"}
    coding = packing.chosen(request.headers.get(hdrs.ACCEPT_ENCODING, ""))
    if coding:
        headers[hdrs.CONTENT_ENCODING] = coding
    body = packing.packed(html.encode(), coding, packing.EACH_TIME)
    return web.Response(body=body, status=status, content_type="text/html", charset="utf-8", headers=headers)
