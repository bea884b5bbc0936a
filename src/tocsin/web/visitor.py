"""Who looks: a name and a theme, kept in cookies until there is a log-in."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

from aiohttp import web

ACTOR_COOKIE: Final = "tocsin_actor"
THEME_COOKIE: Final = "tocsin_theme"
KEYS_COOKIE: Final = "tocsin_keys"
YEAR_SECONDS: Final = 365 * 24 * 3600
THEMES: Final = ("system", "light", "dark")
SOMEBODY: Final = "somebody via web"
MAX_NAME: Final = 100


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks at a page."""

    name: str
    """Empty until it is given."""
    theme: str
    keys: bool
    """Whether single keys act: who dictates, or types by accident, turns them off (WCAG 2.1.4)."""

    @property
    def actor(self) -> str:
        """Who acts, as the timeline writes it."""
        return self.name or SOMEBODY


def of(request: web.Request) -> Visitor:
    """Read the visitor's cookies; what they cannot mean is left out."""
    theme = request.cookies.get(THEME_COOKIE, "")
    return Visitor(
        clean_name(unquote(request.cookies.get(ACTOR_COOKIE, ""))),
        theme if theme in THEMES else "system",
        request.cookies.get(KEYS_COOKIE) != "off",
    )


def clean_name(given: str) -> str:
    """Return a name fit for a line: printable, without white space around, at most 100 characters."""
    return "".join(char for char in given if char.isprintable()).strip()[:MAX_NAME].strip()


def remember_name(response: web.StreamResponse, name: str) -> None:
    """Set the cookie that says who acts, or delete it where *name* is empty."""
    _remember(response, ACTOR_COOKIE, quote(name))


def remember_theme(response: web.StreamResponse, theme: str) -> None:
    """Set the theme's cookie; what the system prefers needs none."""
    _remember(response, THEME_COOKIE, theme if theme in {"light", "dark"} else "")


def remember_keys(response: web.StreamResponse, given: str) -> None:
    """Set the cookie that turns single keys off; on needs none."""
    _remember(response, KEYS_COOKIE, "off" if given == "off" else "")


def _remember(response: web.StreamResponse, cookie: str, value: str) -> None:
    if value:
        response.set_cookie(cookie, value, max_age=YEAR_SECONDS, httponly=True, samesite="Lax", path="/")
    else:
        response.del_cookie(cookie, path="/")
