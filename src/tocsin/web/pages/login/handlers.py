"""Log in and log out."""

from contextlib import suppress

from aiohttp import hdrs, web

from tocsin.kernel.authentication import AUTHENTICATOR
from tocsin.kernel.errors import DomainError, NotFoundError, ThrottledError, UnauthenticatedError, UnavailableError
from tocsin.kernel.problems import status_of
from tocsin.web.access.service import DEPS, login, sessions
from tocsin.web.access.service.identification import identify_session
from tocsin.web.ui import forms, session_cookie, templating

TEMPLATE = "pages/login/page.html"


async def get_login(request: web.Request) -> web.StreamResponse:
    """Show the form; whoever has logged in already goes on."""
    page = forms.return_to(request.query)
    with suppress(UnavailableError):
        principal = await request.app[AUTHENTICATOR].principal_of(request)
        if principal.id is not None:
            return forms.see_other(page)
    return _show(request, page)


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


def _show(request: web.Request, page: str, *, email: str = "", error: DomainError | None = None) -> web.StreamResponse:
    context = {
        "return_to": page,
        "email": email,
        "error": "" if error is None else str(error),
        "wrong": isinstance(error, UnauthenticatedError),
    }
    status = 200 if error is None else status_of(type(error))
    response = templating.render(request, TEMPLATE, blocks=("main",), context=context, status=status)
    if isinstance(error, ThrottledError):
        response.headers[hdrs.RETRY_AFTER] = str(error.retry_after)
    return response
