"""A request that may be a retry."""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """A request that carries an `Idempotency-Key`, with its body as it was sent."""

    key: str
    method: str
    path: str
    body: bytes
    scope: str
    """The namespace of the key: two principals may use the same key."""

    def digest(self) -> bytes:
        """Return a hash of method, path and body: the same key with another digest is a client's mistake."""
        return hashlib.sha256(b"\0".join((self.method.encode(), self.path.encode(), self.body))).digest()
