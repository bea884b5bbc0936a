"""The visitor's name, theme and keyboard shortcuts, kept in cookies."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

from aiohttp import web

from tocsin.kernel.auth import PRINCIPAL
from tocsin.kernel.principal import Principal, Scope
from tocsin.web.ui import forms

ACTOR_COOKIE: Final = "tocsin_actor"
THEME_COOKIE: Final = "tocsin_theme"
KEYS_COOKIE: Final = "tocsin_keys"
YEAR_SECONDS: Final = 365 * 24 * 3600
THEMES: Final = ("system", "light", "dark")
ANONYMOUS: Final = "somebody via web"
MAX_NAME: Final = 100


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who views a page."""

    name: str
    """Empty until it is given."""
    theme: str
    keys: bool
    """Whether single-key shortcuts are on: speech input and accidental typing need them off (WCAG 2.1.4)."""
    account: Principal | None = None
    """Who has logged in."""

    @property
    def may_respond(self) -> bool:
        """Whether the visitor may open and change incidents, and send messages again."""
        return self.account is None or Scope.RESPOND in self.account.scopes

    @property
    def may_create_teams(self) -> bool:
        """Whether the visitor may create teams with their schedules."""
        return self.account is None or Scope.ADMIN in self.account.scopes

    @property
    def may_manage(self) -> bool:
        """Whether the visitor may change the teams of which they are a manager."""
        return self.account is None or Scope.MANAGE in self.account.scopes

    @property
    def actor(self) -> str:
        """The name in the timeline."""
        return self.name or ANONYMOUS


def of(request: web.Request) -> Visitor:
    """Return the visitor that the cookies describe; invalid values are ignored. An account has its own name."""
    theme = request.cookies.get(THEME_COOKIE, "")
    account = account_of(request)
    return Visitor(
        clean_name(unquote(request.cookies.get(ACTOR_COOKIE, ""))) if account is None else account.name or "",
        theme if theme in THEMES else "system",
        request.cookies.get(KEYS_COOKIE) != "off",
        account,
    )


def account_of(request: web.Request) -> Principal | None:
    """Return the principal that has logged in; None in open mode, and for an error before the log-in was checked."""
    principal = request.get(PRINCIPAL)
    return None if principal is None or principal.id is None else principal


def clean_name(given: str) -> str:
    """Return *given* as a single printable line of at most 100 characters."""
    return "".join(char for char in given if char.isprintable()).strip()[:MAX_NAME].strip()


def actor_of(request: web.Request, form: Mapping[str, str]) -> str:
    """Return the name of the account, else the one that *form* gives or was given before; empty if there is none."""
    visitor = of(request)
    return visitor.name if visitor.account is not None else clean_name(form.get("actor", "")) or visitor.name


def remember_name(response: web.StreamResponse, name: str) -> None:
    """Set the cookie with the visitor's name, or delete it if *name* is empty."""
    _remember(response, ACTOR_COOKIE, quote(name))


async def post_name(request: web.Request) -> web.StreamResponse:
    """Store the visitor's name in this browser."""
    form = await forms.read_form(request)
    response = forms.see_other(forms.return_to(form))
    remember_name(response, clean_name(form.get("actor", "")))
    return response


async def post_theme(request: web.Request) -> web.StreamResponse:
    """Store the theme in this browser; the system's theme is the default and needs no cookie."""
    form = await forms.read_form(request)
    response = forms.see_other(forms.return_to(form))
    _remember(response, THEME_COOKIE, theme if (theme := form.get("theme", "")) in {"light", "dark"} else "")
    return response


async def post_keys(request: web.Request) -> web.StreamResponse:
    """Switch single-key shortcuts off in this browser, or on, which is the default and needs no cookie."""
    form = await forms.read_form(request)
    response = forms.see_other(forms.return_to(form))
    _remember(response, KEYS_COOKIE, "off" if form.get("keys") == "off" else "")
    return response


def _remember(response: web.StreamResponse, cookie: str, value: str) -> None:
    if value:
        response.set_cookie(cookie, value, max_age=YEAR_SECONDS, httponly=True, samesite="Lax", path="/")
    else:
        response.del_cookie(cookie, path="/")
