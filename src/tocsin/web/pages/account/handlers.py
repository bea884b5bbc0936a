"""One's own account: end log-ins, create and revoke tokens, change the password."""

from collections.abc import Mapping

from aiohttp import web
from pydantic import ValidationError

from tocsin.contracts.accounts import CreatedToken, PasskeyIn, TokenIn
from tocsin.kernel.client_address import client_address
from tocsin.kernel.errors import (
    ConflictError,
    DomainError,
    InvalidRequestError,
    ThrottledError,
    UnauthenticatedError,
)
from tocsin.kernel.problems import status_of
from tocsin.kernel.requests import path_uuid
from tocsin.web.access.service import DEPS, login, oidc, passkeys, sessions, tokens
from tocsin.web.authentication import identity_of
from tocsin.web.pages.account.loader import load_account
from tocsin.web.pages.account.view import EXPIRIES, SCOPES, account_view
from tocsin.web.ui import challenge_cookie, forms, session_cookie, templating

PAGE = "/account"


async def get_account(request: web.Request) -> web.Response:
    """Show the account of whoever has logged in."""
    return await _show(request)


async def post_session_end(request: web.Request) -> web.StreamResponse:
    """End one log-in."""
    await sessions.end_session(request.app[DEPS], identity_of(request), path_uuid(request, "session_id"))
    return forms.see_other(PAGE)


async def post_other_sessions_end(request: web.Request) -> web.StreamResponse:
    """End every log-in but this one."""
    await sessions.end_other_sessions(request.app[DEPS], identity_of(request))
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
    created = await tokens.create_personal_token(request.app[DEPS], identity_of(request), given, request=None)
    return await _show(request, created=created)


async def post_token_revocation(request: web.Request) -> web.StreamResponse:
    """Revoke a token."""
    await tokens.revoke_token(request.app[DEPS], identity_of(request).account_id, path_uuid(request, "token_id"))
    return forms.see_other(PAGE)


async def post_passkey_options(request: web.Request) -> web.Response:
    """Return what the browser is asked for to create a passkey."""
    form = await forms.read_form(request)
    _passkey_name(form)  # refused before the device creates anything
    address = client_address(request)
    try:
        challenge = await passkeys.begin_adding(
            request.app[DEPS], identity_of(request), form.get("password", ""), address=address
        )
    except UnauthenticatedError:
        detail = "The password is not right."
        raise InvalidRequestError([{"pointer": "password", "detail": detail}], detail) from None
    return challenge_cookie.challenge_response(request, challenge)


async def post_passkey(request: web.Request) -> web.StreamResponse:
    """Add the passkey that the browser has created."""
    form = await forms.read_form(request)
    response: web.StreamResponse
    try:
        await passkeys.add_passkey(
            request.app[DEPS],
            identity_of(request),
            _passkey_name(form),
            form.get("credential", ""),
            secret=challenge_cookie.secret_of(request),
        )
    except (InvalidRequestError, ConflictError) as exc:
        response = await _show(request, passkey_error=exc)
    else:
        response = forms.see_other(PAGE)
    challenge_cookie.delete_challenge(request, response)
    return response


async def post_passkey_removal(request: web.Request) -> web.StreamResponse:
    """Remove a passkey."""
    passkey_id = path_uuid(request, "passkey_id")
    try:
        await passkeys.remove_passkey(request.app[DEPS], identity_of(request), passkey_id)
    except ConflictError as exc:
        return await _show(request, passkey_error=exc)
    return forms.see_other(PAGE)


async def post_password(request: web.Request) -> web.StreamResponse:
    """Change the password, which ends every other log-in."""
    form = await forms.read_form(request)
    try:
        session = await login.change_password(
            request.app[DEPS],
            identity_of(request),
            form.get("present", ""),
            form.get("new", ""),
            address=client_address(request),
        )
    except UnauthenticatedError:
        detail = "The present password is not right; nothing was changed."
        return await _show(request, refusal=InvalidRequestError([{"pointer": "present", "detail": detail}], detail))
    except (InvalidRequestError, ThrottledError) as exc:
        return await _show(request, refusal=exc)
    response = forms.see_other(PAGE)
    session_cookie.set_session(request, response, session)
    return response


async def post_oidc_unlink(request: web.Request) -> web.StreamResponse:
    """Unlink the account from an OpenID provider."""
    form = await forms.read_form(request)
    await oidc.unlink(request.app[DEPS], identity_of(request), form.get("issuer", ""))
    return forms.see_other(PAGE)


def _passkey_name(form: Mapping[str, str]) -> str:
    try:
        return PasskeyIn(name=form.get("name", "")).name
    except ValidationError:
        detail = "Give the passkey a name: the device that has it."
        raise InvalidRequestError([{"pointer": "name", "detail": detail}], detail) from None


async def _show(
    request: web.Request,
    *,
    created: CreatedToken | None = None,
    error: DomainError | None = None,
    refusal: DomainError | None = None,
    passkey_error: DomainError | None = None,
) -> web.Response:
    data = await load_account(request.app, identity_of(request))
    provider = request.app[DEPS].provider
    names = {provider.issuer: provider.name} if provider else {}
    context = {
        "view": account_view(data, created=created, provider_names=names),
        "error": "" if error is None else str(error),
        "refusal": "" if refusal is None else str(refusal),
        "passkey_error": "" if passkey_error is None else str(passkey_error),
        "path": PAGE,
    }
    shown = error or refusal or passkey_error
    status = 200 if shown is None else status_of(type(shown))
    return templating.render(request, "pages/account/page.html", blocks=("main",), context=context, status=status)
