"""Log in and log out."""

from contextlib import suppress
from typing import Final
from urllib.parse import urlencode

from aiohttp import hdrs, web

from tocsin.kernel.authentication import AUTHENTICATOR
from tocsin.kernel.client_address import client_address
from tocsin.kernel.errors import (
    DomainError,
    ForbiddenError,
    NotFoundError,
    ThrottledError,
    UnauthenticatedError,
    UnavailableError,
)
from tocsin.kernel.problems import status_of
from tocsin.web.access.domain.openid import LogInRefusedError
from tocsin.web.access.service import DEPS, login, oidc, passkey_login, passkeys, sessions
from tocsin.web.access.service.identification import identify_session
from tocsin.web.ui import challenge_cookie, forms, session_cookie, templating
from tocsin.web.ui.remote_user import remote_user_of

TEMPLATE = "pages/login/page.html"
SELECT_ACCOUNT: Final = "select_account"
"""Lets the person choose another account at the provider (OpenID Connect Core, section 3.1.2.1)."""
PROXY_TEMPLATE = "pages/login/proxy.html"
NAVIGATION = "navigate"
"""`Sec-Fetch-Mode` of a page that is opened (Fetch Metadata, section 2.3)."""


async def get_login(request: web.Request) -> web.StreamResponse:
    """Show the form; whoever has logged in already goes on."""
    page = forms.return_to(request.query)
    if await _is_logged_in(request):
        return forms.see_other(page)
    user = remote_user_of(request)
    return await _log_in_by_proxy(request, page, user) if user else _show(request, page)


async def post_login(request: web.Request) -> web.StreamResponse:
    """Begin a session and go on to the page that was requested; show the form again, with the reason, if refused."""
    form = await forms.read_form(request)
    page, email = forms.return_to(form), form.get("email", "")
    try:
        session = await login.log_in(
            request.app[DEPS], email, form.get("password", ""), **session_cookie.client_of(request)
        )
    except (UnauthenticatedError, ThrottledError, UnavailableError) as exc:
        return _show(request, page, email=email, error=exc)
    response = forms.see_other(page)
    session_cookie.set_session(request, response, session)
    return response


async def get_oidc(request: web.Request) -> web.StreamResponse:
    """Send the browser to the OpenID provider; whoever has logged in already goes on."""
    page = forms.return_to(request.query)
    if request.headers.get("Sec-Fetch-Dest", "document") != "document":  # an image or a frame of some page
        return forms.see_other("/login")
    if await _is_logged_in(request):
        return forms.see_other(page)
    try:
        begun = await oidc.begin(
            request.app[DEPS],
            return_to=page,
            browser=session_cookie.provider_secret_of(request),
            address=client_address(request),
            select_account=request.query.get("prompt") == SELECT_ACCOUNT,
        )
    except (ThrottledError, UnavailableError) as exc:
        return _show(request, page, error=exc)
    response = forms.see_other(begun.url)
    session_cookie.set_provider_secret(request, response, begun.browser)
    return response


async def get_oidc_callback(request: web.Request) -> web.StreamResponse:
    """Begin a session of the person that the OpenID provider has identified, and go on to the requested page."""
    deps, page = request.app[DEPS], "/"
    try:
        browser = session_cookie.provider_secret_of(request)
        taken = await oidc.take(deps, state=request.query.get("state", ""), browser=browser)
        page = taken.return_to
        session = await oidc.complete(deps, taken, request.query, **session_cookie.client_of(request))
    except (LogInRefusedError, UnavailableError) as exc:
        if isinstance(exc, LogInRefusedError) and await _is_logged_in(request):  # back, or clicked twice
            return forms.see_other(page)
        return _show(request, page, error=exc)
    response = forms.see_other(page)
    session_cookie.set_session(request, response, session)
    return response


async def post_passkey_options(request: web.Request) -> web.Response:
    """Return what the browser is asked for to log in with a passkey."""
    address = client_address(request)
    challenge = await passkey_login.begin_log_in(request.app[DEPS], address=address)
    return challenge_cookie.challenge_response(request, challenge)


async def post_passkey(request: web.Request) -> web.StreamResponse:
    """Begin a session with the passkey that the browser proves; show the form again, with the reason, if refused."""
    form = await forms.read_form(request)
    page, secret = forms.return_to(form), challenge_cookie.secret_of(request)
    response: web.StreamResponse
    try:
        session = await passkey_login.log_in(
            request.app[DEPS], form.get("credential", ""), secret=secret, **session_cookie.client_of(request)
        )
    except (UnauthenticatedError, UnavailableError) as exc:
        response = _show(request, page, passkey_error=exc)
    else:
        response = forms.see_other(page)
        session_cookie.set_session(request, response, session)
    challenge_cookie.delete_challenge(request, response)
    return response


async def post_logout(request: web.Request) -> web.StreamResponse:
    """End the session, on the server too."""
    deps = request.app[DEPS]
    identity = await identify_session(deps, session_cookie.secret_of(request))
    if identity is not None and identity.session_id is not None:
        with suppress(NotFoundError):  # it has just ended elsewhere
            await sessions.end_session(deps, identity, identity.session_id)
    response = forms.see_other("/login")
    session_cookie.delete_session(request, response)
    return response


async def _is_logged_in(request: web.Request) -> bool:
    with suppress(UnavailableError):
        return (await request.app[AUTHENTICATOR].principal_of(request)).id is not None
    return False


async def _log_in_by_proxy(request: web.Request, page: str, user: str) -> web.StreamResponse:
    """Log in the person that a trusted proxy states, on the way to a page; otherwise, as after a log-out, ask first."""
    error: DomainError | None = None
    # Not for a resource that a page of another site includes: each request would begin a session.
    if "return_to" in request.query and request.headers.get("Sec-Fetch-Mode", NAVIGATION) == NAVIGATION:
        try:
            session = await login.log_in_by_proxy(request.app[DEPS], user, **session_cookie.client_of(request))
        except (ForbiddenError, UnavailableError) as exc:
            error = exc
        else:
            response = forms.see_other(page)
            session_cookie.set_session(request, response, session)
            return response
    context = {"return_to": page, "user": user, "error": "" if error is None else str(error)}
    status = 200 if error is None else status_of(type(error))
    return templating.render(request, PROXY_TEMPLATE, blocks=("main",), context=context, status=status)


def _show(
    request: web.Request,
    page: str,
    *,
    email: str = "",
    error: DomainError | None = None,
    passkey_error: DomainError | None = None,
) -> web.StreamResponse:
    deps, shown = request.app[DEPS], error or passkey_error
    query = {"return_to": page} | ({"prompt": SELECT_ACCOUNT} if isinstance(error, LogInRefusedError) else {})
    context = {
        "return_to": page,
        "provider": deps.provider,
        # Of PUBLIC_URL, to whose host the provider sends the browser back: the cookie has to be there.
        "oidc_url": f"{deps.settings.public_url}/login/oidc?{urlencode(query)}",
        "email": email,
        "error": "" if error is None else str(error),
        "wrong": isinstance(error, UnauthenticatedError),
        "locked": isinstance(error, ThrottledError),
        "passkey_origin": passkeys.origin_of(deps),
        "passkey_error": "" if passkey_error is None else str(passkey_error),
    }
    status = 200 if shown is None else status_of(type(shown))
    response = templating.render(request, TEMPLATE, blocks=("main",), context=context, status=status)
    if isinstance(error, ThrottledError):
        response.headers[hdrs.RETRY_AFTER] = str(error.retry_after)
    return response
