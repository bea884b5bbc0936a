"""The handbook: the pages of `docs/` as they are in this version. Alerts of Tocsin's own rules link to it."""

import re
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from aiohttp import web
from markdown_it import MarkdownIt
from markupsafe import Markup

from tocsin.kernel.errors import NotFoundError
from tocsin.web import templating


@dataclass(frozen=True, slots=True)
class Page:
    """One page, ready to be shown."""

    title: str
    body: Markup


async def get_page(request: web.Request) -> web.Response:
    """Show one page of the handbook, by its file's name: links between the files hold here, too."""
    name = request.match_info["page"]
    page = pages().get(name)
    if page is None:
        msg = f"There is no page {name[:64]!r} in the handbook, only {', '.join(pages())}."
        raise NotFoundError(msg)
    return templating.render(request, "handbook.html", blocks=(), context={"page": page})


@cache
def pages() -> dict[str, Page]:
    """Return the pages by their files' names, read once."""
    return {path.name: _read(path.read_text(encoding="utf-8")) for path in sorted(_folder().glob("*.md"))}


def _folder() -> Path:
    """Return the folder with the pages: in an installed wheel, or at the root of a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "docs"
    return installed if installed.is_dir() else package.parents[1] / "docs"


def _read(text: str) -> Page:
    """Render Markdown, whose headings get the anchors that code hosts give them too. HTML in it stays text."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens, title = markdown.parse(text), ""
    for opening, heading in pairwise(tokens):
        if opening.type == "heading_open":
            title = title or heading.content
            opening.attrSet("id", re.sub(r"[^\w\- ]", "", heading.content.lower()).replace(" ", "-"))
        elif opening.type == "table_open":
            opening.attrSet("class", "table")
    body = markdown.renderer.render(tokens, markdown.options, {})
    return Page(title, Markup(body))  # noqa: S704  # nosec B704 - our own pages, with all HTML in them escaped
