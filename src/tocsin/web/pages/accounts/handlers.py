"""Invite people, and change what accounts may do."""

from collections.abc import Mapping

from aiohttp import web
from pydantic import ValidationError

from tocsin.contracts.accounts import AccountIn, AccountKind, ChangeAccount, Role
from tocsin.kernel.auth import PRINCIPAL
from tocsin.kernel.errors import ConflictError, DomainError, InvalidRequestError
from tocsin.kernel.idempotent_request import IdempotentRequest
from tocsin.kernel.problems import status_of
from tocsin.kernel.requests import path_uuid
from tocsin.web.access.domain.links import NewLink
from tocsin.web.access.service import DEPS, accounts, links, passkeys
from tocsin.web.pages.accounts.loader import load_accounts
from tocsin.web.pages.accounts.view import accounts_view
from tocsin.web.ui import forms, templating
from tocsin.web.ui.account_links import address_of

PAGE = "/accounts"


async def get_accounts(request: web.Request) -> web.Response:
    """List the accounts."""
    return await _show(request)


async def post_account(request: web.Request) -> web.StreamResponse:
    """Add an account: of a person with an e-mail address, of a program without one."""
    form = await forms.read_form(request)
    email = form.get("email", "").strip() or None
    try:
        given = AccountIn(
            kind=AccountKind.PERSON if email else AccountKind.SERVICE,
            name=form.get("name", ""),
            email=email,
            role=Role(form.get("role", "")),
        )
    except ValueError:  # of the model, or a role that does not exist
        detail = "Enter a name, and a valid e-mail address or none."
        return await _show(
            request, error=InvalidRequestError([{"pointer": "email", "detail": detail}], detail), given=form
        )
    key = forms.idempotency_key(form, "account")
    once = IdempotentRequest(key, "POST", PAGE, repr(sorted(form.items())).encode(), request[PRINCIPAL].key_scope)
    try:
        added = await accounts.create_account(request.app[DEPS], given, request=once)
    except (ConflictError, InvalidRequestError) as exc:
        return await _show(request, error=exc, given=form)
    return await _show(request, invited=added) if added.secret else forms.see_other(PAGE)


async def post_change(request: web.Request) -> web.StreamResponse:
    """Change the role of an account, or disable or enable it."""
    form = await forms.read_form(request)
    account_id = path_uuid(request, "account_id")
    try:
        change = ChangeAccount(
            role=form.get("role") or None, disabled={"yes": True, "no": False}.get(form.get("disabled", ""))
        )
        version = int(form["version"]) if form.get("version", "").isdecimal() else None
        await accounts.change_account(request.app[DEPS], account_id, change, version=version)
    except ValidationError:
        detail = "Choose a role."
        return await _show(request, error=InvalidRequestError([{"pointer": "role", "detail": detail}], detail))
    except DomainError as exc:
        return await _show(request, error=exc)
    return forms.see_other(PAGE)


async def post_passkeys_removal(request: web.Request) -> web.StreamResponse:
    """Remove the passkeys of an account, and end its log-ins."""
    try:
        await passkeys.remove_passkeys(request.app[DEPS], path_uuid(request, "account_id"))
    except ConflictError as exc:
        return await _show(request, error=exc)
    return forms.see_other(PAGE)


async def post_link(request: web.Request) -> web.StreamResponse:
    """Create a new link with which a person chooses a password, and show it this once."""
    try:
        invited = await links.create_link(request.app[DEPS], path_uuid(request, "account_id"))
    except ConflictError as exc:
        return await _show(request, error=exc)
    return await _show(request, invited=invited)


async def _show(
    request: web.Request,
    *,
    error: DomainError | None = None,
    invited: NewLink | None = None,
    given: Mapping[str, str] | None = None,
) -> web.Response:
    found = await load_accounts(request.app)
    context = {
        "view": accounts_view(found, request[PRINCIPAL].id),
        "invited": None if invited is None else invited.account,
        "link": None if invited is None else address_of(request.app, invited),
        "error": "" if error is None else str(error),
        "given": {"name": "", "email": "", "role": Role.RESPONDER.value, **(given or {})},
        "key": forms.new_key(),
        "path": PAGE,
    }
    status = 200 if error is None else status_of(type(error))
    return templating.render(request, "pages/accounts/page.html", blocks=("main",), context=context, status=status)
