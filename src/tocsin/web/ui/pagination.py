"""Links between the pages of a list."""

from dataclasses import dataclass
from typing import Any

from tocsin.contracts.model import Page
from tocsin.web.ui.filters import PageFilter


@dataclass(frozen=True, slots=True)
class PageLinks:
    """Addresses of the first page and of the next older one; empty where there is none."""

    newest: str
    older: str


def page_links(chosen: PageFilter, page: Page[Any] | None) -> PageLinks:
    """Return the links of the list *page* shown for *chosen*; None if it could not be loaded."""
    return PageLinks(
        newest=chosen.with_filters().address if chosen.cursor else "",
        older=chosen.with_filters(cursor=page.next_cursor).address if page and page.next_cursor else "",
    )
