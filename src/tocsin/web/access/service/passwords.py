"""Change one's own password."""

from uuid import UUID

import structlog

from tocsin.kernel.db import autocommit, transaction
from tocsin.kernel.errors import InvalidRequestError
from tocsin.web.access.repository import accounts, sessions
from tocsin.web.access.service import Deps
from tocsin.web.access.service.log_in import prove_password
from tocsin.web.access.service.password_hashing import require_good_password
from tocsin.web.access.service.sessions import Browser, NewSession, start_session

log = structlog.get_logger(__name__)


async def change_password(deps: Deps, account_id: UUID, present: str, new: str, browser: Browser) -> NewSession:
    """Change the password of an account, end all of its sessions, and begin a new one.

    Raise InvalidRequestError if the account has no password or the new one is weak; UnauthenticatedError and
    ThrottledError as a log-in does.
    """
    async with autocommit(deps.db) as cur:
        account = await accounts.get_account(cur, account_id)
    if account.email is None or not account.has_password:
        msg = "This account has no password."
        raise InvalidRequestError([{"pointer": "present", "detail": msg}], msg)
    await prove_password(deps, account.email, present, address=browser.address)
    await require_good_password(new, account.name, account.email)
    password_hash = await deps.passwords.hash(new)
    async with transaction(deps.db) as cur:
        await accounts.set_password(cur, account_id, password_hash)
        await sessions.delete_sessions(cur, account_id)
        session = await start_session(cur, deps, account_id, browser)
    log.info("password changed", account_id=str(account_id))
    return session
