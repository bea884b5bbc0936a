"""The cookie that binds a passkey's challenge to the browser that asked for it, until the challenge expires."""

from typing import Final

from aiohttp import web

from tocsin.web.access.domain.passkeys import CHALLENGE_SECONDS, NewChallenge
from tocsin.web.ui.secret_cookies import delete_secret, read_secret, set_secret

NAME: Final = "tocsin_challenge"


def challenge_response(request: web.Request, challenge: NewChallenge) -> web.Response:
    """Return what the page's script needs to ask the browser; only the browser gets the secret."""
    response = web.json_response(challenge.options, headers={"Cache-Control": "no-store"})
    set_secret(request, response, NAME, challenge.secret, seconds=CHALLENGE_SECONDS, same_site="Strict")
    return response


def secret_of(request: web.Request) -> str:
    """Return the secret of the request's challenge; empty without one."""
    return read_secret(request, NAME)


def delete_challenge(request: web.Request, response: web.StreamResponse) -> None:
    """Let the browser forget a challenge, which works once."""
    delete_secret(request, response, NAME)
