"""Log in with a passkey."""

from typing import Final

import structlog

from tocsin.kernel.audit_entry import Subject
from tocsin.kernel.client_network import network_of
from tocsin.kernel.db import autocommit, transaction
from tocsin.kernel.errors import ThrottledError, UnauthenticatedError
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.storable_text import storable
from tocsin.web.access.domain.bearer_secrets import digest, digest_of_given, new_secret
from tocsin.web.access.domain.passkeys import (
    NewChallenge,
    PasskeyRefusedError,
    StoredPasskey,
    parse_assertion,
    request_options,
    sign_count_of,
)
from tocsin.web.access.domain.sessions import LogInMethod, NewSession
from tocsin.web.access.repository import passkeys, throttle
from tocsin.web.access.service import Deps, audit
from tocsin.web.access.service.login import SCHEME
from tocsin.web.access.service.passkeys import TOO_LATE, party_of
from tocsin.web.access.service.sessions import begin_session

log = structlog.get_logger(__name__)
LOG_IN: Final = Failpoint("access.log_in_with_passkey")
COUNTED: Final = "passkey"
"""Separate from the counts of passwords: a passkey works while those are used up."""
WRONG: Final = (
    "This passkey was not accepted. If it was removed here, remove it from your device, too, and log in in another way."
)


async def begin_log_in(deps: Deps, *, address: str) -> NewChallenge:
    """Return the challenge with which a browser logs in.

    Raise ThrottledError if an address begins too often; ConflictError if there can be no passkeys.
    """
    party, secret = party_of(deps), new_secret()
    async with transaction(deps.db) as cur:
        network = network_of(address)
        limit = deps.settings.address_failures_per_minute
        count = await throttle.count_attempt(cur, COUNTED, network, limit=limit)
        if count is None:
            seconds = await throttle.seconds_left(cur, COUNTED, network)
            log.info("log-in throttled", by=COUNTED, seconds=seconds)
            audit.refuse_log_in(None, f"too many begun with a {COUNTED}")
            msg = f"Too many log-ins were begun from your network. Try again in {seconds} seconds."
            raise ThrottledError(msg, retry_after=seconds)
        await passkeys.insert_challenge(cur, digest(secret), account_id=None)
    return NewChallenge(request_options(party, digest(secret)), secret)


async def log_in(deps: Deps, response: str, *, secret: str, address: str, user_agent: str) -> NewSession:
    """Begin a session of the account whose passkey a browser proves.

    Raise UnauthenticatedError if it proves none, whatever the reason: unknown, of a disabled account, for another site.
    """
    challenge = digest_of_given(secret)
    async with autocommit(deps.db) as cur:
        used = challenge and await passkeys.use_challenge(cur, challenge, account_id=None)
    if not used or not challenge:
        raise UnauthenticatedError(TOO_LATE, scheme=SCHEME)
    passkey = None
    try:
        assertion = parse_assertion(response)
        async with autocommit(deps.db) as cur:
            passkey = await passkeys.find_passkey(cur, assertion.raw_id)
        if passkey is None:
            raise _refused(None, address, "it is unknown")
        sign_count = sign_count_of(assertion, passkey, party_of(deps), challenge)
    except PasskeyRefusedError as exc:
        raise _refused(passkey, address, str(exc)) from exc
    async with LOG_IN(), transaction(deps.db) as cur:
        if not await passkeys.lock_account(cur, passkey.account_id):
            raise _refused(passkey, address, "its account is disabled")
        if not await passkeys.record_use(cur, passkey.id, sign_count):
            reason = f"removed, or its device counted {sign_count}, not more than before: there may be a copy of it"
            raise _refused(passkey, address, reason)
        return await begin_session(
            cur, deps, passkey.account_id, method=LogInMethod.PASSKEY, address=address, user_agent=user_agent
        )


def _refused(passkey: StoredPasskey | None, address: str, reason: str) -> UnauthenticatedError:
    account = None if passkey is None else Subject("account", passkey.account_id, passkey.account_name)
    audit.refuse_log_in(account, "passkey not accepted")
    known = {"account_id": str(passkey.account_id), "passkey_id": str(passkey.id)} if passkey else {}
    log.warning(
        "log-in refused", method=LogInMethod.PASSKEY, reason=storable(reason), address=storable(address), **known
    )
    return UnauthenticatedError(WRONG, scheme=SCHEME)
