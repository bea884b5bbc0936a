"""The cookies of a log-in, and of one that goes through the OpenID provider."""

from typing import Final

from aiohttp import hdrs, web

from tocsin.kernel.client_address import client_address
from tocsin.web.access.domain.openid import FLOW_SECONDS
from tocsin.web.access.domain.sessions import NewSession
from tocsin.web.settings import SETTINGS
from tocsin.web.ui.secret_cookies import delete_secret, read_secret, set_secret

NAME: Final = "tocsin_session"
PROVIDER: Final = "tocsin_oidc"
DAY_SECONDS: Final = 86_400


def secret_of(request: web.Request) -> str:
    """Return the secret of the request's session; empty without one."""
    return read_secret(request, NAME)


def set_session(request: web.Request, response: web.StreamResponse, session: NewSession) -> None:
    """Let the browser keep the secret of *session* for as long as it can last."""
    set_secret(request, response, NAME, session.secret, seconds=request.app[SETTINGS].session_days * DAY_SECONDS)


def delete_session(request: web.Request, response: web.StreamResponse) -> None:
    """Let the browser forget its session."""
    delete_secret(request, response, NAME)


def provider_secret_of(request: web.Request) -> str:
    """Return the secret of the browser that has gone to the OpenID provider; empty without one."""
    return read_secret(request, PROVIDER)


def set_provider_secret(request: web.Request, response: web.StreamResponse, secret: str) -> None:
    """Let the browser keep the secret with which it comes back from the OpenID provider."""
    set_secret(request, response, PROVIDER, secret, seconds=FLOW_SECONDS)


def client_of(request: web.Request) -> dict[str, str]:
    """Return from where somebody logs in: the address and the browser."""
    return {"address": client_address(request), "user_agent": request.headers.get(hdrs.USER_AGENT, "")}
