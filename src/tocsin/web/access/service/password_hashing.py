"""Hash passwords with Argon2id (RFC 9106), in a thread and one at a time: each takes a tenth of a second and 64 MiB."""

import asyncio
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from tocsin.kernel.errors import InvalidRequestError
from tocsin.web.access.domain.passwords import normalised, weakness


class PasswordHashing:
    """Hashes and verifies passwords."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher: Final = hasher or PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)
        self._one = asyncio.Lock()
        self._dummy: str | None = None

    async def hash(self, password: str) -> str:
        """Return the hash of *password*, with its salt and parameters in it."""
        async with self._one:
            return await asyncio.to_thread(self._hasher.hash, normalised(password))

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Return whether *password* has this hash. Without a hash that is false, and takes the same time."""
        async with self._one:
            if password_hash is None and self._dummy is None:
                self._dummy = await asyncio.to_thread(self._hasher.hash, "of nobody")
            return await asyncio.to_thread(self._verify, password_hash, normalised(password))

    def is_outdated(self, password_hash: str) -> bool:
        """Return whether it was made with other parameters than those of today."""
        return self._hasher.check_needs_rehash(password_hash)

    def _verify(self, password_hash: str | None, password: str) -> bool:
        try:
            self._hasher.verify(password_hash or self._dummy or "", password)
        except (VerificationError, InvalidHashError):
            return False
        return password_hash is not None


async def require_good_password(password: str, *known: str | None) -> None:
    """Raise InvalidRequestError if *password* can be guessed; *known* is what others know of the person."""
    reason = await asyncio.to_thread(weakness, normalised(password), [text for text in known if text])
    if reason is not None:
        raise InvalidRequestError([{"pointer": "password", "detail": reason}], reason)
