"""Create the account of the first admin, and choose the password of an account, each by a link that works once."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from tocsin.contracts.accounts import AccountIn, Role
from tocsin.kernel.errors import ConflictError, DomainError, InvalidRequestError
from tocsin.kernel.problems import status_of
from tocsin.web.access.domain.links import LinkError
from tocsin.web.access.service import DEPS, links
from tocsin.web.ui import forms, session_cookie, templating

SETUP = "pages/setup/setup.html"
CHOOSE = "pages/setup/choose.html"


async def get_setup(request: web.Request) -> web.Response:
    """Show the form for the first account."""
    if (await links.find_link(request.app[DEPS], request.query.get("key", ""))).account is not None:
        raise LinkError
    return _show(request, SETUP, request.query)


async def post_setup(request: web.Request) -> web.StreamResponse:
    """Create the first account, and begin a session of it."""
    form = await forms.read_form(request)
    try:
        given = AccountIn(name=form.get("name", ""), email=form.get("email", ""), role=Role.ADMIN)
    except ValidationError as exc:
        field = str(exc.errors(include_url=False)[0]["loc"][0])
        detail = "Enter your name." if field == "name" else "Enter your e-mail address."
        return _show(request, SETUP, form, InvalidRequestError([{"pointer": field, "detail": detail}], detail))
    try:
        session = await links.redeem_setup_link(
            request.app[DEPS],
            form.get("key", ""),
            given.name,
            given.email or "",
            form.get("password", ""),
            **session_cookie.client_of(request),
        )
    except (InvalidRequestError, ConflictError) as exc:
        return _show(request, SETUP, form, exc)
    response = forms.see_other("/")
    session_cookie.set_session(request, response, session)
    return response


async def get_choose_password(request: web.Request) -> web.Response:
    """Show the form for the password of an account."""
    return await _show_choose(request, request.query)


async def post_choose_password(request: web.Request) -> web.StreamResponse:
    """Set the password, and begin a session."""
    form = await forms.read_form(request)
    try:
        session = await links.redeem_link(
            request.app[DEPS], form.get("key", ""), form.get("password", ""), **session_cookie.client_of(request)
        )
    except InvalidRequestError as exc:
        return await _show_choose(request, form, exc)
    response = forms.see_other("/")
    session_cookie.set_session(request, response, session)
    return response


async def _show_choose(
    request: web.Request, given: Mapping[str, str], error: DomainError | None = None
) -> web.Response:
    account = (await links.find_link(request.app[DEPS], given.get("key", ""))).account
    if account is None:
        raise LinkError
    return _show(request, CHOOSE, given, error, name=account.name, email=account.email)


def _show(
    request: web.Request, template: str, given: Mapping[str, str], error: DomainError | None = None, **more: Any
) -> web.Response:
    context = {
        "key": given.get("key", ""),
        "name": given.get("name", ""),
        "email": given.get("email", ""),
        "error": "" if error is None else str(error),
        **more,
    }
    status = 200 if error is None else status_of(type(error))
    return templating.render(request, template, blocks=("main",), context=context, status=status)
