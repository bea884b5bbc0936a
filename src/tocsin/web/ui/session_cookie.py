"""The cookies of a log-in, and of one that goes through the OpenID provider."""

from typing import Final

from aiohttp import hdrs, web

from tocsin.kernel.client_address import client_address
from tocsin.web.access.domain.openid import FLOW_SECONDS
from tocsin.web.access.domain.sessions import NewSession
from tocsin.web.settings import SETTINGS

NAME: Final = "tocsin_session"
PROVIDER: Final = "tocsin_oidc"
HOST_PREFIX: Final = "__Host-"
"""A browser accepts a cookie of this name from this host over https only (RFC 6265bis, section 4.1.3.2)."""
DAY_SECONDS: Final = 86_400


def secret_of(request: web.Request) -> str:
    """Return the secret of the request's session; empty without one."""
    return request.cookies.get(cookie_name(request, NAME), "")


def set_session(request: web.Request, response: web.StreamResponse, session: NewSession) -> None:
    """Let the browser keep the secret of *session* for as long as it can last."""
    _set(request, response, NAME, session.secret, seconds=request.app[SETTINGS].session_days * DAY_SECONDS)


def provider_secret_of(request: web.Request) -> str:
    """Return the secret of the browser that has gone to the OpenID provider; empty without one."""
    return request.cookies.get(cookie_name(request, PROVIDER), "")


def set_provider_secret(request: web.Request, response: web.StreamResponse, secret: str) -> None:
    """Let the browser keep the secret with which it comes back from the OpenID provider."""
    _set(request, response, PROVIDER, secret, seconds=FLOW_SECONDS)


def _set(request: web.Request, response: web.StreamResponse, name: str, value: str, *, seconds: int) -> None:
    response.set_cookie(
        cookie_name(request, name),
        value,
        max_age=seconds,
        httponly=True,
        secure=is_secure(request),
        samesite="Lax",
        path="/",
    )


def delete_session(request: web.Request, response: web.StreamResponse) -> None:
    """Let the browser forget its session."""
    response.del_cookie(cookie_name(request, NAME), path="/", secure=is_secure(request), httponly=True, samesite="Lax")


def client_of(request: web.Request) -> dict[str, str]:
    """Return from where somebody logs in: the address and the browser."""
    return {"address": client_address(request), "user_agent": request.headers.get(hdrs.USER_AGENT, "")}


def cookie_name(request: web.Request, name: str) -> str:
    """Return the name under which browsers keep the cookie *name*."""
    return HOST_PREFIX + name if is_secure(request) else name


def is_secure(request: web.Request) -> bool:
    """Return whether cookies are sent over https only, as PUBLIC_URL is an https URL."""
    return (request.app[SETTINGS].public_url or "").startswith("https://")
