"""Load the pages of `docs/` of this version; alerts of Tocsin's own rules link to them."""

from functools import cache
from pathlib import Path

from tocsin.web.pages.handbook.view import HandbookData, title_of


def load_handbook(name: str) -> HandbookData:
    """Return the page *name*, a file name, and the titles of all."""
    texts = _texts()
    return HandbookData(name, texts.get(name), {name: title_of(text) for name, text in texts.items()})


@cache
def _texts() -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(_folder().glob("*.md"))}


def _folder() -> Path:
    """Return the folder with the pages: in an installed wheel, or at the root of a checkout."""
    package = Path(__file__).parents[3]
    installed = package / "docs"
    return installed if installed.is_dir() else package.parents[1] / "docs"
