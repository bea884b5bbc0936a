"""The view of a page of the handbook: Markdown as HTML."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

SCROLLED: Final = (
    ("<pre>", '<pre tabindex="0">'),
    ('<table class="table">', '<div class="scroll" tabindex="0"><table class="table">'),
    ("</table>", "</table></div>"),
)
"""What may be wider than the page, and how it is scrolled, by keyboard, too."""


@dataclass(frozen=True, slots=True)
class HandbookData:
    """A page of the documentation."""

    name: str
    text: str | None
    """None if there is no such page."""
    titles: Mapping[str, str]
    """Of all pages, by name."""


@dataclass(frozen=True, slots=True)
class HandbookView:
    """All that the page shows."""

    title: str
    body: Markup
    pages: Mapping[str, str]
    """Titles of all pages, by name."""
    name: str


def handbook_view(name: str, text: str, titles: Mapping[str, str]) -> HandbookView:
    """Build the page *name* with the titles of all."""
    return HandbookView(titles[name], _rendered(text), titles, name)


def title_of(text: str) -> str:
    """Return the heading of a page."""
    return text.partition("\n")[0].removeprefix("# ").strip()


@cache
def _rendered(text: str) -> Markup:
    """Render Markdown, with the heading anchors that code hosts generate; HTML in it is escaped."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = _without_empty_heads(markdown.parse(text))
    for opening, heading in pairwise(tokens):
        if opening.type == "heading_open":
            opening.attrSet("id", re.sub(r"[^\w\- ]", "", heading.content.lower()).replace(" ", "-"))
        elif opening.type == "table_open":
            opening.attrSet("class", "table")
    body = markdown.renderer.render(tokens, markdown.options, {})
    for plain, scrolled in SCROLLED:
        body = body.replace(plain, scrolled)
    return Markup(body)  # noqa: S704  # nosec B704 - our own pages, with all HTML in them escaped


def _without_empty_heads(tokens: list[Token]) -> list[Token]:
    """Leave out table heads without any text, which Markdown demands and HTML does not."""
    kept: list[Token] = []
    head: int | None = None
    for token in tokens:
        if token.type == "thead_open":
            head = len(kept)
        kept.append(token)
        if token.type == "thead_close" and not any(item.content for item in kept[head:]):
            del kept[head:]
    return kept
