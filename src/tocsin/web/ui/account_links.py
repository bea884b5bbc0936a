"""The addresses of links that work once."""

from typing import Final

from aiohttp import web

from tocsin.web.access.domain.links import NewLink
from tocsin.web.settings import SETTINGS

SETUP: Final = "/setup"
CHOOSE: Final = "/choose-password"


def address_of(app: web.Application, link: NewLink) -> str:
    """Return the address of the page that *link* opens; empty if there is no secret to open it with."""
    if link.secret is None:
        return ""
    settings = app[SETTINGS]
    base = settings.public_url or f"http://127.0.0.1:{settings.port}"
    return f"{base}{SETUP if link.account is None else CHOOSE}?key={link.secret}"
