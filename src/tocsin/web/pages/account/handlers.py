"""One's own account: end log-ins, create and revoke tokens, change the password."""

from uuid import UUID

from aiohttp import web
from pydantic import ValidationError

from tocsin.contracts.accounts import CreatedToken, TokenIn
from tocsin.kernel.auth import PRINCIPAL
from tocsin.kernel.errors import DomainError, InvalidRequestError, ThrottledError, UnauthenticatedError
from tocsin.kernel.problems import status_of
from tocsin.kernel.requests import path_uuid
from tocsin.web.access.service import DEPS, passwords, sessions, tokens
from tocsin.web.pages.account.loader import load_account
from tocsin.web.pages.account.view import EXPIRIES, SCOPES, account_view
from tocsin.web.ui import forms, session_cookie, templating

PAGE = "/account"


async def get_account(request: web.Request) -> web.Response:
    """Show the account of whoever has logged in."""
    return await _show(request)


async def post_session_end(request: web.Request) -> web.StreamResponse:
    """End one log-in."""
    await sessions.end_session(request.app[DEPS], _own_id(request), path_uuid(request, "session_id"))
    return forms.see_other(PAGE)


async def post_other_sessions_end(request: web.Request) -> web.StreamResponse:
    """End every log-in but this one."""
    principal = request[PRINCIPAL]
    await sessions.end_other_sessions(request.app[DEPS], _own_id(request), principal.credential_id)
    return forms.see_other(PAGE)


async def post_token(request: web.Request) -> web.StreamResponse:
    """Create a token, and show it this once."""
    form = await forms.read_form(request)
    try:
        given = TokenIn(
            name=form.get("name", ""),
            scopes=SCOPES.get(form.get("may", "")),
            expires_in_days=EXPIRIES.get(form.get("expires", "")),
        )
    except ValidationError:
        detail = "Give the token a name: what will use it."
        return await _show(request, error=InvalidRequestError([{"pointer": "name", "detail": detail}], detail))
    creator = request[PRINCIPAL].scopes
    created = await tokens.create_token(request.app[DEPS], _own_id(request), given, creator=creator)
    return await _show(request, created=created)


async def post_token_revocation(request: web.Request) -> web.StreamResponse:
    """Revoke a token."""
    await tokens.revoke_token(request.app[DEPS], _own_id(request), path_uuid(request, "token_id"))
    return forms.see_other(PAGE)


async def post_password(request: web.Request) -> web.StreamResponse:
    """Change the password, which ends every other log-in."""
    form = await forms.read_form(request)
    try:
        session = await passwords.change_password(
            request.app[DEPS],
            _own_id(request),
            form.get("present", ""),
            form.get("new", ""),
            session_cookie.browser_of(request),
        )
    except UnauthenticatedError:
        detail = "The present password is not right; nothing was changed."
        return await _show(request, refusal=InvalidRequestError([{"pointer": "present", "detail": detail}], detail))
    except (InvalidRequestError, ThrottledError) as exc:
        return await _show(request, refusal=exc)
    response = forms.see_other(PAGE)
    session_cookie.set_session(request, response, session)
    return response


async def _show(
    request: web.Request,
    *,
    created: CreatedToken | None = None,
    error: DomainError | None = None,
    refusal: DomainError | None = None,
) -> web.Response:
    principal = request[PRINCIPAL]
    data = await load_account(request.app, _own_id(request), principal.credential_id)
    context = {
        "view": account_view(data, created=created),
        "error": "" if error is None else str(error),
        "refusal": "" if refusal is None else str(refusal),
        "path": PAGE,
    }
    shown = error or refusal
    status = 200 if shown is None else status_of(type(shown))
    return templating.render(request, "pages/account/page.html", blocks=("main",), context=context, status=status)


def _own_id(request: web.Request) -> UUID:
    account_id = request[PRINCIPAL].id
    assert account_id is not None  # noqa: S101 - the route requires a log-in
    return account_id
