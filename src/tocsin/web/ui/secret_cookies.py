"""Cookies that keep a secret: scripts cannot read them, and with https, no other host can set them."""

from typing import Final, Literal

from aiohttp import web

from tocsin.web.settings import SETTINGS

HOST_PREFIX: Final = "__Host-"
"""A browser accepts a cookie of this name from this host over https only (RFC 6265bis, section 4.1.3.2)."""


def read_secret(request: web.Request, name: str) -> str:
    """Return the secret in the cookie *name*; empty without one."""
    return request.cookies.get(_full_name(request, name), "")


def set_secret(
    request: web.Request,
    response: web.StreamResponse,
    name: str,
    secret: str,
    *,
    seconds: int,
    same_site: Literal["Lax", "Strict"] = "Lax",
) -> None:
    """Let the browser keep *secret* for *seconds*; `Lax`: it also sends it when a link of another site is followed."""
    response.set_cookie(
        _full_name(request, name),
        secret,
        max_age=seconds,
        httponly=True,
        secure=_is_secure(request),
        samesite=same_site,
        path="/",
    )


def delete_secret(request: web.Request, response: web.StreamResponse, name: str) -> None:
    """Let the browser forget the secret in the cookie *name*."""
    response.del_cookie(_full_name(request, name), path="/", secure=_is_secure(request), httponly=True, samesite="Lax")


def _full_name(request: web.Request, name: str) -> str:
    return HOST_PREFIX + name if _is_secure(request) else name


def _is_secure(request: web.Request) -> bool:
    """Return whether cookies are sent over https only, as PUBLIC_URL is an https URL."""
    return (request.app[SETTINGS].public_url or "").startswith("https://")
