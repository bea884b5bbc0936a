"""Whose session or token a request has.

Each is looked up in the database, so that its end takes effect at once. While the database is unavailable, those that
this process saw within the last five minutes stay valid: acknowledging must go on.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from tocsin.contracts.accounts import AccountKind, Role
from tocsin.kernel import clock
from tocsin.kernel.authentication import STALE_SECONDS, Tokens
from tocsin.kernel.db import Cursor, Row, autocommit
from tocsin.kernel.errors import UnavailableError
from tocsin.kernel.principal import Principal
from tocsin.web.access.domain.identity import Identity
from tocsin.web.access.domain.roles import scopes_of
from tocsin.web.access.domain.secret_values import digest_of
from tocsin.web.access.repository import sessions, tokens
from tocsin.web.access.service import Deps

MAX_SEEN: Final = 5_000
"""Sessions and tokens that a process remembers."""
Find: TypeAlias = Callable[[Cursor, bytes], Awaitable[Row | None]]


class Identities(Tokens):
    """Finds the account of a session or a token."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._seen: OrderedDict[bytes, tuple[float, Identity]] = OrderedDict()

    async def of_session(self, secret: str) -> Identity | None:
        """Return the account of a valid session; None for any other text. Raise UnavailableError."""

        async def find(cur: Cursor, digest: bytes) -> Row | None:
            return await sessions.identify(cur, digest, idle_days=self._deps.settings.session_idle_days)

        return await self._find(secret, find)

    async def of_token(self, token: str) -> Identity | None:
        """Return the account of a valid token; None for any other text. Raise UnavailableError."""
        return await self._find(token, tokens.identify)

    async def identify(self, token: str) -> Principal | None:
        """Return the principal of a valid token; None for any other text. Raise UnavailableError."""
        identity = await self.of_token(token)
        return identity.principal if identity is not None else None

    async def _find(self, secret: str, find: Find) -> Identity | None:
        digest = digest_of(secret)
        if digest is None:
            return None
        try:
            async with autocommit(self._deps.db) as cur:
                row = await find(cur, digest)
        except UnavailableError:
            seen_at, identity = self._seen.get(digest, (0.0, None))
            if identity is not None and clock.monotonic() - seen_at < STALE_SECONDS:
                return identity
            raise
        self._seen.pop(digest, None)
        if row is None:
            return None
        identity = _identity(row)
        self._seen[digest] = clock.monotonic(), identity
        if len(self._seen) > MAX_SEEN:
            self._seen.popitem(last=False)
        return identity


def _identity(row: Row) -> Identity:
    role = Role(row["role"])
    return Identity(
        account_id=row["account_id"],
        kind=AccountKind(row["kind"]),
        name=row["name"],
        email=row["email"],
        role=role,
        person_id=row["person_id"],
        scopes=scopes_of(role, row.get("scopes")),
        credential_id=row["id"],
    )
