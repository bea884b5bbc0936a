"""The identities that this process saw lately, for the time in which the database is unavailable."""

from collections import OrderedDict
from typing import Final
from uuid import UUID

from tocsin.kernel import clock
from tocsin.web.access.domain.identity import Identity

KEEP_SECONDS: Final = 300.0
MAX_IDENTITIES: Final = 10_000


class SeenIdentities:
    """Identities by the hash of their secret: the latest ones, each for five minutes."""

    def __init__(self, size: int = MAX_IDENTITIES) -> None:
        self._size = size
        self._seen: OrderedDict[bytes, tuple[float, Identity]] = OrderedDict()

    def add(self, secret_hash: bytes, identity: Identity, *, seconds_left: float | None) -> None:
        """Keep an identity, at most for the seconds in which its session or token expires."""
        keep = KEEP_SECONDS if seconds_left is None else min(KEEP_SECONDS, seconds_left)
        self._seen[secret_hash] = (clock.monotonic() + keep, identity)
        self._seen.move_to_end(secret_hash)
        if len(self._seen) > self._size:
            self._seen.popitem(last=False)

    def find(self, secret_hash: bytes) -> Identity | None:
        """Return an identity; None if it was not seen lately."""
        ends, identity = self._seen.get(secret_hash, (0.0, None))
        return identity if ends > clock.monotonic() else None

    def forget(self, secret_hash: bytes) -> None:
        """Forget a secret, which the database does not know."""
        self._seen.pop(secret_hash, None)

    def forget_account(self, account_id: UUID) -> None:
        """Forget every identity of an account, of which something has ended or changed."""
        for secret_hash in [key for key, (_, identity) in self._seen.items() if identity.account_id == account_id]:
            del self._seen[secret_hash]
