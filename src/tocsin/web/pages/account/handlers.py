"""One's own account: end log-ins, create and revoke tokens, change the password."""

from aiohttp import web
from pydantic import ValidationError

from tocsin.contracts.accounts import CreatedToken, TokenIn
from tocsin.kernel.errors import DomainError, InvalidRequestError, ThrottledError, UnauthenticatedError
from tocsin.kernel.problems import status_of
from tocsin.kernel.requests import path_uuid
from tocsin.web.access.service import DEPS, login, oidc, sessions, tokens
from tocsin.web.authentication import identity_of
from tocsin.web.pages.account.loader import load_account
from tocsin.web.pages.account.view import EXPIRIES, SCOPES, account_view
from tocsin.web.ui import forms, session_cookie, templating

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


async def post_password(request: web.Request) -> web.StreamResponse:
    """Change the password, which ends every other log-in."""
    form = await forms.read_form(request)
    try:
        session = await login.change_password(
            request.app[DEPS],
            identity_of(request),
            form.get("present", ""),
            form.get("new", ""),
            address=session_cookie.client_of(request)["address"],
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


async def _show(
    request: web.Request,
    *,
    created: CreatedToken | None = None,
    error: DomainError | None = None,
    refusal: DomainError | None = None,
) -> web.Response:
    data = await load_account(request.app, identity_of(request))
    provider = request.app[DEPS].provider
    names = {provider.issuer: provider.name} if provider else {}
    context = {
        "view": account_view(data, created=created, provider_names=names),
        "error": "" if error is None else str(error),
        "refusal": "" if refusal is None else str(refusal),
        "path": PAGE,
    }
    shown = error or refusal
    status = 200 if shown is None else status_of(type(shown))
    return templating.render(request, "pages/account/page.html", blocks=("main",), context=context, status=status)
