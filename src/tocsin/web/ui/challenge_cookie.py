"""The cookie that binds what a browser was asked to sign to this browser, for the minutes that it has."""

from typing import Final

from aiohttp import web

from tocsin.web.access.domain.passkeys import CHALLENGE_SECONDS, NewChallenge
from tocsin.web.settings import SETTINGS
from tocsin.web.ui.session_cookie import HOST_PREFIX

NAME: Final = "tocsin_challenge"


def challenge_response(request: web.Request, challenge: NewChallenge) -> web.Response:
    """Return what the page's script needs to ask the browser; only the browser gets the secret."""
    response = web.json_response(challenge.options, headers={"Cache-Control": "no-store"})
    response.set_cookie(
        _name(request),
        challenge.secret,
        max_age=CHALLENGE_SECONDS,
        httponly=True,
        secure=_is_secure(request),
        samesite="Strict",
        path="/",
    )
    return response


def secret_of(request: web.Request) -> str:
    """Return the secret of the request's challenge; empty without one."""
    return request.cookies.get(_name(request), "")


def delete_challenge(request: web.Request, response: web.StreamResponse) -> None:
    """Let the browser forget a challenge, which works once."""
    response.del_cookie(_name(request), path="/", secure=_is_secure(request), httponly=True, samesite="Strict")


def _name(request: web.Request) -> str:
    return HOST_PREFIX + NAME if _is_secure(request) else NAME


def _is_secure(request: web.Request) -> bool:
    return (request.app[SETTINGS].public_url or "").startswith("https://")
