"""Find out who makes a request, from its session or token."""

from collections.abc import Awaitable, Callable

import structlog

from tocsin.kernel.db import Cursor, autocommit
from tocsin.kernel.errors import UnavailableError
from tocsin.web.access.domain.bearer_secrets import SESSIONS, TOKENS, digest_of_given
from tocsin.web.access.domain.identity import Identity
from tocsin.web.access.repository import sessions, tokens
from tocsin.web.access.repository.sessions import FoundIdentity
from tocsin.web.access.service import Deps

log = structlog.get_logger(__name__)


async def identify_session(deps: Deps, secret: str) -> Identity | None:
    """Return the identity of a session; None if it is unknown or has ended, or if its account is disabled.

    While the database is unavailable, return what this process saw in the last five minutes; without that, raise
    UnavailableError.
    """
    secret_hash = digest_of_given(secret, SESSIONS)
    if secret_hash is None:
        return None

    async def record_use(cur: Cursor, identity: Identity) -> None:
        if identity.session_id is not None:
            await sessions.record_use(cur, identity.session_id, deps.lifetime)

    return await _identify(deps, secret_hash, sessions.find_identity, record_use)


async def identify_token(deps: Deps, secret: str) -> Identity | None:
    """Return the identity of a token; None if it is unknown or has expired, or if its account is disabled.

    While the database is unavailable, return what this process saw in the last five minutes; without that, raise
    UnavailableError.
    """
    secret_hash = digest_of_given(secret, TOKENS)
    if secret_hash is None:
        return None

    async def record_use(cur: Cursor, identity: Identity) -> None:
        if identity.token_id is not None:
            await tokens.record_use(cur, identity.token_id)

    return await _identify(deps, secret_hash, tokens.find_identity, record_use)


async def _identify(
    deps: Deps,
    secret_hash: bytes,
    find: Callable[[Cursor, bytes], Awaitable[FoundIdentity | None]],
    record_use: Callable[[Cursor, Identity], Awaitable[None]],
) -> Identity | None:
    try:
        async with autocommit(deps.db) as cur:
            found = await find(cur, secret_hash)
            if found is None:
                deps.seen.forget(secret_hash)
                return None
            deps.seen.add(secret_hash, found.identity, seconds_left=found.seconds_left)
            if not found.use_is_recorded:
                await record_use(cur, found.identity)
            return found.identity
    except UnavailableError as exc:
        seen = deps.seen.find(secret_hash)
        if seen is None:
            raise
        log.info("identified from memory", account_id=str(seen.account_id), reason=str(exc))
        return seen
