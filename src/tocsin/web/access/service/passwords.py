"""Hash and check passwords in a thread, one at a time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol, TypeVar, TypeVarTuple

from aiohttp import web
from argon2 import PasswordHasher
from argon2.exceptions import HashingError, InvalidHashError, VerificationError, VerifyMismatchError

from tocsin.kernel.errors import InvalidRequestError, OverloadedError, UnavailableError
from tocsin.web.access.domain.bearer_secrets import new_secret
from tocsin.web.access.domain.passwords import as_bytes, refusal_of

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
MAX_WAITING: Final = 32
"""Operations that run or wait. A hash takes a tenth of a second: a later one would wait longer than clients do."""
RETRY_AFTER_SECONDS: Final = 5
NO_MEMORY: Final = "Passwords cannot be checked at the moment; try again."


class Hasher(Protocol):
    """What is used of argon2's PasswordHasher, so that tests can hash with less work."""

    def hash(self, password: bytes, /) -> str:
        """Return the hash with its parameters and salt."""

    def verify(self, encoded: str, password: bytes, /) -> bool:
        """Return True; raise VerifyMismatchError for another password."""

    def check_needs_rehash(self, encoded: str, /) -> bool:
        """Return whether a hash has other parameters than this hasher's."""


class Passwords:
    """Hashes and checks passwords.

    Argon2id with the parameters that RFC 9106 (section 4) recommends for little memory takes 64 MiB: a container has
    room for one at a time.
    """

    def __init__(self, hasher: Hasher | None = None) -> None:
        self._hasher: Hasher = hasher or PasswordHasher()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="passwords")
        self._waiting = 0
        self._nobodys_hash: str | None = None

    async def hash(self, password: str) -> str:
        """Return the hash of a password that `check` accepts. Raise UnavailableError if too many wait."""
        return await self._run(self._hash, password)

    async def verify(self, encoded: str | None, password: str) -> bool:
        """Return whether *password* is that of a hash; without a hash it is not, after the same work.

        Raise UnavailableError if too many wait.
        """
        return await self._run(self._verify, encoded, password)

    def is_outdated(self, encoded: str) -> bool:
        """Return whether a hash was made with other parameters than those of this release."""
        return self._hasher.check_needs_rehash(encoded)

    async def check(self, password: str, about: Sequence[str | None], *, pointer: str) -> None:
        """Raise InvalidRequestError, at *pointer* of the body, if *password* may not be chosen.

        *about* are the name and the e-mail address of its person. Raise UnavailableError if too many wait.
        """
        reason = await self._run(refusal_of, password, [text for text in about if text])
        if reason is not None:
            raise InvalidRequestError([{"pointer": pointer, "detail": reason}], reason)

    async def context(self, _app: web.Application) -> AsyncIterator[None]:
        """Shut down the thread when the application stops (a cleanup context)."""
        yield
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[*Ts], T], *args: *Ts) -> T:
        if self._waiting >= MAX_WAITING:
            msg = f"Too many people log in at the moment; try again in {RETRY_AFTER_SECONDS} seconds."
            raise OverloadedError(msg, retry_after=RETRY_AFTER_SECONDS)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, *args)
        finally:
            self._waiting -= 1

    def _hash(self, password: str) -> str:
        given = as_bytes(password)
        if given is None:
            msg = "a password longer than any is hashed: it was not checked"
            raise ValueError(msg)
        try:
            return self._hasher.hash(given)
        except HashingError as exc:
            raise UnavailableError(NO_MEMORY) from exc

    def _verify(self, encoded: str | None, password: str) -> bool:
        if self._nobodys_hash is None:  # whichever log-in comes first
            self._nobodys_hash = self._hash(new_secret())
        given = as_bytes(password)
        own = None if given is None else encoded
        try:
            self._hasher.verify(own or self._nobodys_hash, given or b"")
        except (VerifyMismatchError, InvalidHashError):
            return False
        except VerificationError as exc:
            raise UnavailableError(NO_MEMORY) from exc
        return own is not None
