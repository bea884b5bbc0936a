"""The view of a page of the handbook: Markdown as HTML."""

import re
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from markdown_it import MarkdownIt
from markupsafe import Markup


@dataclass(frozen=True, slots=True)
class HandbookData:
    """A page of the documentation."""

    name: str
    text: str | None
    """None if there is no such page."""
    names: list[str]
    """Of all pages."""


@dataclass(frozen=True, slots=True)
class HandbookView:
    """All that the page shows."""

    title: str
    body: Markup


@cache
def handbook_view(text: str) -> HandbookView:
    """Render Markdown, with the heading anchors that code hosts generate; HTML in it is escaped."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens, title = markdown.parse(text), ""
    for opening, heading in pairwise(tokens):
        if opening.type == "heading_open":
            title = title or heading.content
            opening.attrSet("id", re.sub(r"[^\w\- ]", "", heading.content.lower()).replace(" ", "-"))
        elif opening.type == "table_open":
            opening.attrSet("class", "table")
    body = markdown.renderer.render(tokens, markdown.options, {})
    return HandbookView(title, Markup(body))  # noqa: S704  # nosec B704 - our own pages, with all HTML in them escaped
