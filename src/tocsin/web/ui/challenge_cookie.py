"""The cookie that binds a passkey's challenge to the browser that asked for it, until the challenge expires."""

from typing import Final

from aiohttp import web

from tocsin.web.access.domain.passkeys import CHALLENGE_SECONDS, NewChallenge
from tocsin.web.ui.session_cookie import cookie_name, is_secure

NAME: Final = "tocsin_challenge"


def challenge_response(request: web.Request, challenge: NewChallenge) -> web.Response:
    """Return what the page's script needs to ask the browser; only the browser gets the secret."""
    response = web.json_response(challenge.options, headers={"Cache-Control": "no-store"})
    response.set_cookie(
        cookie_name(request, NAME),
        challenge.secret,
        max_age=CHALLENGE_SECONDS,
        httponly=True,
        secure=is_secure(request),
        samesite="Strict",
        path="/",
    )
    return response


def secret_of(request: web.Request) -> str:
    """Return the secret of the request's challenge; empty without one."""
    return request.cookies.get(cookie_name(request, NAME), "")


def delete_challenge(request: web.Request, response: web.StreamResponse) -> None:
    """Let the browser forget a challenge, which works once."""
    response.del_cookie(
        cookie_name(request, NAME), path="/", secure=is_secure(request), httponly=True, samesite="Strict"
    )
